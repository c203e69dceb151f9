//! From the final dot to `250`: the message gets its trace field, is queued, and handed off within
//! this process.

use std::time::Duration;

use bytes::Bytes;
use message::content::{body_of, joint};
use queue::{Content, NewMessage, QueueId, Service, Tenant, TraceParent};
use rpc::hand_off::Producer;
use service::provenance::Provenance;
use service::telemetry::traces::Span;
use smtp::{Mailbox, Reply, ReversePath, each_once};
use smtp_net::SessionInfo;
use time::OffsetDateTime;

/// A message that the policy has let through.
pub(crate) struct Arrival<'a> {
    /// Where failures are reported to.
    pub(crate) reverse_path: ReversePath,
    /// Whom it is for, at least one.
    pub(crate) recipients: Vec<Mailbox>,
    /// What came between DATA and the final dot.
    pub(crate) content: Bytes,
    /// The session that it came on.
    pub(crate) session: &'a SessionInfo,
}

impl Arrival<'_> {
    fn provenance(&self) -> Provenance<'_> {
        Provenance {
            service: Service::Inbound,
            session: self.session,
            login: None,
        }
    }
}

/// Takes responsibility for messages.
pub(crate) struct Acceptor {
    /// Queues and hands off.
    pub(crate) producer: Producer,
    /// Our name in trace fields.
    pub(crate) host_name: String,
    /// How long delivery is tried.
    pub(crate) expire_after: Duration,
}

impl Acceptor {
    /// Queues the message. The reply is `250` only after the COMMIT (RFC 5321 §6.1).
    pub(crate) async fn accept(&self, arrival: Arrival<'_>) -> Reply {
        let id = self.producer.next_id();
        let mut span = Span::acceptance("relay");
        span.note("chasqui.queue_id", &id);
        let trace = span.context().unwrap_or_else(TraceParent::generate);
        let message = self.queued_form(id, trace, &arrival);
        let size = message.content.len();
        let recipients = message.recipients.clone();
        match self.producer.enqueue(message).await {
            Ok(()) => {
                let provenance = arrival.provenance();
                provenance.log_accepted(id, &arrival.reverse_path, &recipients, size);
                Reply::ok(format!("queued as {id}"))
            }
            Err(error) => {
                tracing::error!(queue_id = %id, error = &error as &dyn std::error::Error, "message not queued");
                span.failed(&error);
                error.reply()
            }
        }
    }

    fn queued_form(&self, id: QueueId, trace: TraceParent, arrival: &Arrival<'_>) -> NewMessage {
        let now = OffsetDateTime::now_utc();
        let recipients = each_once(&arrival.recipients);
        let provenance = arrival.provenance();
        let received = provenance.trace_field(&self.host_name, id, &recipients, now);
        NewMessage {
            id,
            tenant: Tenant::NONE,
            reverse_path: arrival.reverse_path.clone(),
            body: body_of(&arrival.content),
            recipients,
            content: Content::new(received + joint(&arrival.content), arrival.content.clone()),
            origin: provenance.origin(),
            trace,
            expires_at: now + self.expire_after,
            lease_to: None,
        }
    }
}
