//! What the fleet asks by gRPC: the directory's questions, and deliveries.

use directory::{AccountName, Directory, DirectoryError};
use rpc::ServiceFailure;
use rpc::delivery::{DeliverRequest, DeliveryService, Outcomes};
use rpc::directory::{Authentication, DirectoryService, Login, Lookup};
use secrecy::SecretString;
use service::telemetry::traces::Span;
use smtp::{Domain, Mailbox};
use tracing::{debug, warn};

use crate::mailboxes::Mailboxes;

/// Answers for the directory.
pub(crate) struct DirectoryAnswers(pub(crate) Directory);

impl DirectoryService for DirectoryAnswers {
    async fn lookup(&self, mailbox: &Mailbox) -> Result<Lookup, ServiceFailure> {
        let lookup = self.0.lookup(mailbox).await.map_err(failure)?;
        Ok(match lookup {
            directory::Lookup::NotLocal => Lookup::NotLocal,
            directory::Lookup::Unknown => Lookup::Unknown,
            directory::Lookup::Disabled => Lookup::Disabled,
            directory::Lookup::Mailbox => Lookup::Mailbox,
        })
    }

    async fn is_local(&self, domain: &str) -> Result<bool, ServiceFailure> {
        match Domain::parse(domain) {
            Ok(domain) => self.0.is_local(&domain).await.map_err(failure),
            // An address literal, say.
            Err(_) => Ok(false),
        }
    }

    async fn postmaster(&self) -> Result<Option<Mailbox>, ServiceFailure> {
        let postmaster = self.0.postmaster().await.map_err(failure)?;
        Ok(postmaster.as_ref().map(AccountName::mailbox))
    }

    async fn authenticate(
        &self,
        login: &str,
        password: SecretString,
    ) -> Result<Authentication, ServiceFailure> {
        let verdict = self
            .0
            .authenticate(login, password)
            .await
            .map_err(failure)?;
        Ok(match verdict {
            directory::Authentication::Accepted(login) => Authentication::Accepted(Login {
                account: login.account.mailbox(),
                tenant: login.tenant,
            }),
            directory::Authentication::Rejected => Authentication::Rejected,
        })
    }

    async fn may_send_as(
        &self,
        account: &Mailbox,
        address: &Mailbox,
    ) -> Result<bool, ServiceFailure> {
        self.0.may_send_as(account, address).await.map_err(failure)
    }
}

impl DeliveryService for Mailboxes {
    async fn deliver(&self, request: DeliverRequest) -> Result<Outcomes, ServiceFailure> {
        let mut span = Span::called("deliver", request.trace);
        let outcomes = self.deliver(&request).await;
        for ((_, recipient), (number, outcome)) in request.recipients.iter().zip(&outcomes) {
            // The relay tells the message's story; this is for whoever looks closer.
            let (queue_id, report) = (request.queue_id, outcome.report());
            debug!(%queue_id, %recipient, %report, "delivery by a relay");
            span.recipient(outcome.as_str(), *number, &report.status, &report.detail);
        }
        Ok(outcomes)
    }
}

/// The caller learns what, our log learns why.
fn failure(error: DirectoryError) -> ServiceFailure {
    warn!(
        error = service::one_line(&error),
        "a question to the directory has no answer"
    );
    match error {
        DirectoryError::Hash(_) => ServiceFailure::Internal(error.to_string()),
        DirectoryError::Database(_) | DirectoryError::Busy | DirectoryError::Stopped => {
            ServiceFailure::Unavailable(error.to_string())
        }
    }
}
