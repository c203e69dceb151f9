//! From the final dot to `250`: the message gets its trace field, is queued, and handed off within this process.

use std::time::Duration;

use bytes::Bytes;
use message::content::{body_of, joint};
use message::trace::{Protocol, ReceivedFields, TlsDetails, received};
use queue::{Content, NewMessage, Origin, QueueId, Service, Tenant, TraceParent};
use rpc::hand_off::Producer;
use service::message_log;
use smtp::server::HelloVerb;
use smtp::{Mailbox, Reply, ReversePath};
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
        let message = self.queued_form(id, &arrival);
        let size = message.content.len();
        match self.producer.enqueue(message).await {
            Ok(()) => {
                log_accepted(id, &arrival, size);
                Reply::ok(format!("queued as {id}"))
            }
            Err(error) => {
                tracing::error!(queue_id = %id, error = &error as &dyn std::error::Error, "message not queued");
                error.reply()
            }
        }
    }

    fn queued_form(&self, id: QueueId, arrival: &Arrival<'_>) -> NewMessage {
        let now = OffsetDateTime::now_utc();
        let trace = self.trace_field(&id.to_string(), now, arrival);
        NewMessage {
            id,
            tenant: Tenant::NONE,
            reverse_path: arrival.reverse_path.clone(),
            body: body_of(&arrival.content),
            recipients: arrival.recipients.clone(),
            content: Content::new(trace + joint(&arrival.content), arrival.content.clone()),
            origin: origin(arrival.session),
            trace: TraceParent::generate(),
            expires_at: now + self.expire_after,
            lease_to: None,
        }
    }

    fn trace_field(&self, id: &str, at: OffsetDateTime, arrival: &Arrival<'_>) -> String {
        let session = arrival.session;
        let hello = session.hello.as_ref();
        let tls = session.tls.as_ref();
        let is_plain_smtp = hello.is_some_and(|hello| hello.verb == HelloVerb::Helo);
        received(&ReceivedFields {
            from_hello: hello.map(|hello| hello.name.as_str()),
            client_ip: session.peer.ip(),
            client_name: None,
            by: &self.host_name,
            with: if is_plain_smtp {
                Protocol::Smtp
            } else {
                Protocol::esmtp(tls.is_some(), false)
            },
            tls: tls.map(|tls| TlsDetails {
                version: tls.version,
                cipher: tls.cipher,
            }),
            id,
            for_recipient: match arrival.recipients.as_slice() {
                [recipient] => Some(recipient),
                _ => None,
            },
            at,
        })
    }
}

fn origin(session: &SessionInfo) -> Origin {
    Origin {
        service: Service::Inbound,
        client: Some(session.peer.ip()),
        hello: session.hello.as_ref().map(|hello| hello.name.clone()),
        login: None,
        tls: session
            .tls
            .as_ref()
            .map(|tls| format!("{} {}", tls.version, tls.cipher)),
    }
}

fn log_accepted(id: QueueId, arrival: &Arrival<'_>, size: usize) {
    let origin = origin(arrival.session);
    message_log::accepted(
        &message_log::Message {
            queue_id: &id,
            reverse_path: &arrival.reverse_path,
        },
        &message_log::Source {
            service: "relay",
            client: origin.client,
            hello: origin.hello.as_deref(),
            login: None,
            tls: origin.tls.as_deref(),
            size: size as u64,
        },
        &arrival.recipients,
    );
}
