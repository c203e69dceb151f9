//! Who may submit what: AUTH, who may send as whom, and how much.
//!
//! A decision is a value: [`ControlFlow::Continue`] lets the client go on, [`ControlFlow::Break`]
//! holds the reply that refuses. When the directory does not answer, that is a 4yz reply.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use message::from::{self, AuthorError};
use rpc::RpcError;
use rpc::directory::{Authentication, DirectoryClient, Login};
use secrecy::SecretString;
use smtp::server::Credentials;
use smtp::{Mailbox, Reply, ReversePath};

use crate::limits::{FailedLogins, MessageAllowance};
use crate::metrics;
use crate::refusal;

/// Go on, or refuse.
pub(crate) type Decision<T = ()> = ControlFlow<Reply, T>;

/// For so long after a login the account's own address needs no further question: the directory
/// has just vouched for it. Later it is asked at each message, so that an account that was
/// disabled cannot go on in an old session.
const VOUCHED_FOR: Duration = Duration::from_secs(60);

/// Who is at the other end of a session.
pub(crate) struct Identity {
    pub(crate) login: Login,
    since: Instant,
}

impl Identity {
    /// Whether the directory has vouched for this address just now.
    fn is_vouched_for(&self, address: &Mailbox) -> bool {
        *address == self.login.account && self.since.elapsed() < VOUCHED_FOR
    }
}

/// The rules of submission, shared by all sessions.
pub(crate) struct Policy {
    directory: DirectoryClient,
    failed_logins: FailedLogins,
    allowance: MessageAllowance,
}

impl Policy {
    pub(crate) fn new(
        directory: DirectoryClient,
        failed_logins: FailedLogins,
        allowance: MessageAllowance,
    ) -> Self {
        Self {
            directory,
            failed_logins,
            allowance,
        }
    }

    /// Whether the credentials are good (RFC 4954). Every verdict is logged with account and
    /// address, never the password.
    pub(crate) async fn log_in(
        &self,
        credentials: Credentials,
        client: IpAddr,
    ) -> Decision<Identity> {
        let login = credentials.login.as_str();
        if self.failed_logins.is_exhausted(client) {
            metrics::login(metrics::Login::Throttled);
            tracing::warn!(login, %client, "login not tried: too many failures from this address");
            return Decision::Break(refusal::too_many_failures());
        }
        let password = SecretString::from(credentials.password.as_str());
        let accepted = match self.directory.authenticate(login, &password).await {
            Ok(Authentication::Accepted(accepted)) => accepted,
            Ok(Authentication::Rejected) => {
                self.failed_logins.add(client);
                metrics::login(metrics::Login::Rejected);
                tracing::info!(login, %client, "login rejected");
                return Decision::Break(refusal::bad_credentials());
            }
            Err(error) => {
                metrics::login(metrics::Login::NotChecked);
                tracing::warn!(login, %client, error = &error as &dyn std::error::Error, "login not checked");
                return Decision::Break(refusal::cannot_authenticate_now());
            }
        };
        if !is_own_identity(&credentials, &accepted) {
            metrics::login(metrics::Login::Rejected);
            tracing::info!(login, %client, "login rejected: it asked to act as another");
            return Decision::Break(refusal::no_other_identity());
        }
        metrics::login(metrics::Login::Accepted);
        tracing::info!(account = %accepted.account, %client, "login accepted");
        Decision::Continue(Identity {
            login: accepted,
            since: Instant::now(),
        })
    }

    /// Whether the account may use this reverse-path: one of its own addresses, or the null path
    /// of a report such as an MDN (RFC 8098 §3).
    pub(crate) async fn check_reverse_path(
        &self,
        identity: &Identity,
        reverse_path: &ReversePath,
    ) -> Decision {
        let Some(address) = reverse_path.mailbox() else {
            return Decision::Continue(());
        };
        if self.may_send_as(identity, address).await? {
            return Decision::Continue(());
        }
        Decision::Break(refusal::not_your_address(&identity.login.account, address))
    }

    /// Takes one message off the account's allowance.
    pub(crate) fn take_allowance(&self, account: &Mailbox) -> Decision {
        if self.allowance.take(account) {
            return Decision::Continue(());
        }
        tracing::warn!(%account, "message refused: the hour's allowance is used up");
        Decision::Break(refusal::allowance_used_up(account))
    }

    /// Whether the account may write as every author in From and as the Sender, if there is one.
    /// `known` is the reverse-path, which has passed already.
    pub(crate) async fn check_authors(
        &self,
        identity: &Identity,
        known: &ReversePath,
        content: &[u8],
    ) -> Decision {
        let account = &identity.login.account;
        let authors = readable(from::authors(content))?;
        let sender = readable(from::sender(content))?;
        let from = authors.iter().map(|author| ("From", author));
        let fields = from.chain(sender.iter().map(|sender| ("Sender", sender)));
        for (field, address) in fields {
            if known.mailbox() != Some(address) && !self.may_send_as(identity, address).await? {
                return Decision::Break(refusal::not_your_field(field, account, address));
            }
        }
        Decision::Continue(())
    }

    /// Whether mail can be submitted for a recipient: its domain must be a full one
    /// (RFC 6409 §4.2). Whether it exists is for delivery to find out.
    pub(crate) fn check_recipient(&self, recipient: &Mailbox) -> Decision {
        match recipient.domain().name() {
            Some(domain) if !domain.as_str().contains('.') => {
                Decision::Break(refusal::not_fully_qualified(recipient))
            }
            _ => Decision::Continue(()),
        }
    }

    /// Whom `<Postmaster>` without a domain means (RFC 5321 §4.5.1).
    pub(crate) async fn postmaster(&self) -> Decision<Mailbox> {
        match answered(self.directory.postmaster().await)? {
            Some(postmaster) => Decision::Continue(postmaster),
            None => Decision::Break(refusal::no_postmaster()),
        }
    }

    /// Asks the directory something, and logs whether it answered: who reads the log of a fresh
    /// set-up wants to know before the first login fails.
    pub(crate) async fn check_directory(&self) {
        match self.directory.postmaster().await {
            Ok(Some(postmaster)) => tracing::info!(%postmaster, "the directory answers"),
            Ok(None) => tracing::warn!("the directory answers, and has no domain yet"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "the directory does not answer: nobody can log in until it does"
                );
            }
        }
    }

    /// Drops what need not be remembered any longer.
    pub(crate) fn tidy_up(&self) {
        self.allowance.forget_idle();
    }

    async fn may_send_as(&self, identity: &Identity, address: &Mailbox) -> Decision<bool> {
        if identity.is_vouched_for(address) {
            return Decision::Continue(true);
        }
        let account = &identity.login.account;
        answered(self.directory.may_send_as(account, address).await)
    }
}

/// RFC 4616 §2: an authorization identity, if given, must be the login itself or its account.
fn is_own_identity(credentials: &Credentials, login: &Login) -> bool {
    credentials.authorization_id.as_deref().is_none_or(|id| {
        id.eq_ignore_ascii_case(&credentials.login)
            || id.eq_ignore_ascii_case(&login.account.to_string())
    })
}

fn readable<T>(read: Result<T, AuthorError>) -> Decision<T> {
    match read {
        Ok(value) => Decision::Continue(value),
        Err(error) => Decision::Break(refusal::doubtful_author(error)),
    }
}

fn answered<T>(answer: Result<T, RpcError>) -> Decision<T> {
    match answer {
        Ok(value) => Decision::Continue(value),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "directory not asked"
            );
            Decision::Break(refusal::cannot_tell_now())
        }
    }
}
