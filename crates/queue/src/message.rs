//! A message on its way into the queue.

use std::net::IpAddr;

use smtp::{Body, Mailbox, ReversePath};
use time::OffsetDateTime;

use crate::content::Content;
use crate::ids::{IncarnationId, QueueId, Tenant};
use crate::trace::TraceParent;

/// A message that is to be queued: all of its recipients, or none.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Its name, made beforehand ([`crate::Enqueuer::next_id`]).
    pub id: QueueId,
    /// Whose mail it is.
    pub tenant: Tenant,
    /// Where failures are reported to.
    pub reverse_path: ReversePath,
    /// What the content's octets are.
    pub body: Body,
    /// Who gets it, at least one; numbered from 0 in this order.
    pub recipients: Vec<Mailbox>,
    /// The content with its trace fields.
    pub content: Content,
    /// Where it came from.
    pub origin: Origin,
    /// The trace of its acceptance.
    pub trace: TraceParent,
    /// When it is given up, if it could not be delivered by then.
    pub expires_at: OffsetDateTime,
    /// The incarnation that gets the leases at once; none leaves the message for any relay's poll.
    pub lease_to: Option<IncarnationId>,
}

/// Where a message came from, for operators.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Who queued it.
    pub service: Service,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The argument of the client's EHLO or HELO.
    pub hello: Option<String>,
    /// The account that was logged in.
    pub login: Option<String>,
    /// TLS version and cipher, if the session was encrypted.
    pub tls: Option<String>,
}

impl Origin {
    /// A message that Chasqui wrote itself.
    #[must_use]
    pub const fn own(service: Service) -> Self {
        Self {
            service,
            client: None,
            hello: None,
            login: None,
            tls: None,
        }
    }
}

/// The parts of Chasqui that produce mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// A user's message.
    Submission,
    /// A message from another server.
    Inbound,
    /// A notification written by the relay.
    Outbound,
    /// A redirected message or an automatic reply.
    Delivery,
}

impl Service {
    /// The word that stands in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submission => "submission",
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Delivery => "delivery",
        }
    }
}
