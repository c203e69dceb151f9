//! From the final dot to `250`: the message is completed, queued, and handed to a relay.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use message::content::body_of;
use message::submission::{FixUp, fix_up};
use message::trace::{Protocol, ReceivedFields, TlsDetails, received};
use queue::{Content, NewMessage, Origin, QueueId, Service, Tenant, TraceParent};
use rpc::directory::Login;
use rpc::hand_off::Producer;
use service::message_log;
use smtp::server::HelloVerb;
use smtp::{Mailbox, Reply, ReversePath};
use smtp_net::SessionInfo;
use time::OffsetDateTime;

/// A message that the policy has let through.
pub(crate) struct Submission<'a> {
    pub(crate) login: &'a Login,
    pub(crate) reverse_path: ReversePath,
    pub(crate) recipients: Vec<Mailbox>,
    pub(crate) content: Bytes,
    pub(crate) session: &'a SessionInfo,
}

/// Takes responsibility for messages.
pub(crate) struct Acceptor {
    pub(crate) producer: Producer,
    /// Our name, for trace fields and Message-IDs.
    pub(crate) host_name: String,
    /// How long delivery is tried.
    pub(crate) expire_after: Duration,
}

impl Acceptor {
    /// Queues the message. The reply is `250` only after the COMMIT (RFC 5321 §6.1).
    pub(crate) async fn accept(&self, submission: Submission<'_>) -> Reply {
        let id = self.producer.next_id();
        let message = self.complete(id, &submission);
        let size = message.content.len();
        let recipients = message.recipients.clone();
        match self.producer.enqueue(message).await {
            Ok(()) => {
                log_accepted(id, &submission, &recipients, size);
                Reply::ok(format!("queued as {id}"))
            }
            Err(error) => {
                tracing::error!(queue_id = %id, error = &error as &dyn std::error::Error, "message not queued");
                error.reply()
            }
        }
    }

    /// The message as it will travel: trace and missing fields in front (RFC 6409 §8), some
    /// fields taken out, the rest as it came.
    fn complete(&self, id: QueueId, submission: &Submission<'_>) -> NewMessage {
        let now = OffsetDateTime::now_utc();
        let queue_id = id.to_string();
        let recipients = each_once(&submission.recipients);
        let trace = received(&self.trace_fields(&queue_id, now, &recipients, submission.session));
        let fixed = fix_up(
            submission.content.clone(),
            &FixUp {
                message_id_domain: &self.host_name,
                queue_id: &queue_id,
                now,
            },
        );
        NewMessage {
            id,
            tenant: Tenant(submission.login.tenant),
            reverse_path: submission.reverse_path.clone(),
            body: body_of(&fixed.content),
            recipients,
            content: Content::new(trace + &fixed.prefix, fixed.content),
            origin: origin(submission),
            trace: TraceParent::generate(),
            expires_at: now + self.expire_after,
            lease_to: None,
        }
    }

    fn trace_fields<'a>(
        &'a self,
        queue_id: &'a str,
        now: OffsetDateTime,
        recipients: &'a [Mailbox],
        session: &'a SessionInfo,
    ) -> ReceivedFields<'a> {
        let hello = session.hello.as_ref();
        let is_plain_smtp = hello.is_some_and(|hello| hello.verb == HelloVerb::Helo);
        let tls = session.tls.as_ref();
        ReceivedFields {
            from_hello: hello.map(|hello| hello.name.as_str()),
            client_ip: session.peer.ip(),
            client_name: None,
            by: &self.host_name,
            with: if is_plain_smtp {
                Protocol::Smtp
            } else {
                Protocol::esmtp(tls.is_some(), true)
            },
            tls: tls.map(|tls| TlsDetails {
                version: tls.version,
                cipher: tls.cipher,
            }),
            id: queue_id,
            for_recipient: match recipients {
                [recipient] => Some(recipient),
                _ => None,
            },
            at: now,
        }
    }
}

/// The recipients in their order, each named once however often it was given.
fn each_once(recipients: &[Mailbox]) -> Vec<Mailbox> {
    let mut seen = HashSet::with_capacity(recipients.len());
    recipients
        .iter()
        .filter(|recipient| seen.insert(*recipient))
        .cloned()
        .collect()
}

fn origin(submission: &Submission<'_>) -> Origin {
    let session = submission.session;
    Origin {
        service: Service::Submission,
        client: Some(session.peer.ip()),
        hello: session.hello.as_ref().map(|hello| hello.name.clone()),
        login: Some(submission.login.account.to_string()),
        tls: tls_text(session),
    }
}

fn tls_text(session: &SessionInfo) -> Option<String> {
    let tls = session.tls.as_ref()?;
    Some(format!("{} {}", tls.version, tls.cipher))
}

fn log_accepted(id: QueueId, submission: &Submission<'_>, recipients: &[Mailbox], size: usize) {
    let session = submission.session;
    message_log::accepted(
        &message_log::Message {
            queue_id: &id,
            reverse_path: &submission.reverse_path,
        },
        &message_log::Source {
            service: Service::Submission.as_str(),
            client: Some(session.peer.ip()),
            hello: session.hello.as_ref().map(|hello| hello.name.as_str()),
            login: Some(&submission.login.account.to_string()),
            tls: tls_text(session).as_deref(),
            size: size as u64,
        },
        recipients,
    );
}
