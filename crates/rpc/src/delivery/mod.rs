//! Delivery: putting messages into local mailboxes.

mod client;
mod server;
mod wire;

use queue::{Content, QueueId, TraceParent};
use smtp::{Mailbox, Outcome, ReversePath};
use time::OffsetDateTime;

pub use client::DeliveryClient;
pub use server::{DeliveryLimits, DeliveryService, delivery_server};

/// One message for local recipients.
#[derive(Clone, Debug)]
pub struct DeliverRequest {
    /// The message. What is stored derives from it and the recipient, so that a repeated delivery
    /// finds itself done.
    pub queue_id: QueueId,
    /// How many attempts were begun, this one included.
    pub attempt: i32,
    /// Where failures are reported to.
    pub reverse_path: ReversePath,
    /// Who gets it, each with the number that comes back with its outcome.
    pub recipients: Vec<(i32, Mailbox)>,
    /// When the message was accepted.
    pub accepted_at: OffsetDateTime,
    /// The trace of its acceptance.
    pub trace: TraceParent,
    /// The content with its trace fields.
    pub content: Content,
}

/// What became of each recipient, by its number.
pub type Outcomes = Vec<(i32, Outcome)>;
