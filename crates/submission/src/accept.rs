//! From the final dot to `250`: the message is completed, queued, and handed to a relay.

use std::time::Duration;

use bytes::Bytes;
use message::content::body_of;
use message::submission::{FixUp, fix_up};
use queue::{Content, NewMessage, QueueId, Service, Tenant, TraceParent};
use rpc::directory::Login;
use rpc::hand_off::Producer;
use service::provenance::Provenance;
use service::telemetry::traces::Span;
use smtp::{Mailbox, Reply, ReversePath, each_once};
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

impl Submission<'_> {
    fn provenance(&self) -> Provenance<'_> {
        Provenance {
            service: Service::Submission,
            session: self.session,
            login: Some(&self.login.account),
        }
    }
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
        let mut span = Span::acceptance("submission");
        span.note("chasqui.queue_id", &id);
        let trace = span.context().unwrap_or_else(TraceParent::generate);
        let message = self.complete(id, trace, &submission);
        let size = message.content.len();
        let recipients = message.recipients.clone();
        match self.producer.enqueue(message).await {
            Ok(()) => {
                let Submission { reverse_path, .. } = &submission;
                let provenance = submission.provenance();
                provenance.log_accepted(id, reverse_path, &recipients, size);
                Reply::ok(format!("queued as {id}"))
            }
            Err(error) => {
                tracing::error!(queue_id = %id, error = &error as &dyn std::error::Error, "message not queued");
                span.failed(&error);
                error.reply()
            }
        }
    }

    /// The message as it will travel: trace and missing fields in front (RFC 6409 §8), some
    /// fields taken out, the rest as it came.
    fn complete(&self, id: QueueId, trace: TraceParent, submission: &Submission<'_>) -> NewMessage {
        let now = OffsetDateTime::now_utc();
        let recipients = each_once(&submission.recipients);
        let provenance = submission.provenance();
        let received = provenance.trace_field(&self.host_name, id, &recipients, now);
        let fixed = fix_up(
            submission.content.clone(),
            &FixUp {
                message_id_domain: &self.host_name,
                queue_id: &id.to_string(),
                now,
            },
        );
        NewMessage {
            id,
            tenant: Tenant(submission.login.tenant),
            reverse_path: submission.reverse_path.clone(),
            body: body_of(&fixed.content),
            recipients,
            content: Content::new(received + &fixed.prefix, fixed.content),
            origin: provenance.origin(),
            trace,
            expires_at: now + self.expire_after,
            lease_to: None,
        }
    }
}
