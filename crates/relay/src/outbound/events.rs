//! One log line for each event in a message's life (see `service::message_log`).

use std::time::Duration;

use queue::{LeasedRecipient, LeasedUnit, NewMessage, QueueId, Service};
use service::message_log::{self, Message, Source};
use smtp::{Mailbox, ReversePath};
use time::OffsetDateTime;

use super::attempt::FarEnd;
use super::fate::{End, Fate, words};
use super::route::NextHop;

/// What the log tells about an attempt.
#[derive(Debug, Clone)]
pub(crate) struct AttemptStory {
    /// Where the attempt went.
    pub(crate) next_hop: String,
    queue_id: QueueId,
    reverse_path: ReversePath,
    recipients: Vec<LeasedRecipient>,
    attempt: i32,
    accepted_at: OffsetDateTime,
}

/// What the log tells about a notification.
#[derive(Debug, Clone)]
pub(crate) struct NotificationStory {
    queue_id: QueueId,
    recipients: Vec<Mailbox>,
    size: usize,
}

/// An attempt begins.
pub(crate) fn attempt_begins(unit: &LeasedUnit, next_hop: &NextHop) {
    let message = Message {
        queue_id: &unit.lease.unit.queue_id,
        reverse_path: &unit.reverse_path,
    };
    let attempt = unit.lease.attempt;
    message_log::attempt(&message, attempt, next_hop, unit.recipients.len());
}

impl AttemptStory {
    /// The story of an attempt at `unit`.
    pub(crate) fn new(unit: &LeasedUnit, next_hop: String) -> Self {
        Self {
            next_hop,
            queue_id: unit.lease.unit.queue_id,
            reverse_path: unit.reverse_path.clone(),
            recipients: unit.recipients.clone(),
            attempt: unit.lease.attempt,
            accepted_at: unit.accepted_at,
        }
    }

    /// How it ended for each recipient.
    pub(crate) fn ended(&self, fates: &[Fate]) {
        for fate in fates {
            self.recipient_ended(fate);
        }
    }

    /// It ended when somebody else held the lease already: what was sent may arrive twice.
    pub(crate) fn fenced(&self) {
        tracing::warn!(
            target: "message",
            queue_id = %self.queue_id,
            attempt = self.attempt,
            next_hop = self.next_hop,
            "fenced"
        );
    }

    fn recipient_ended(&self, fate: &Fate) {
        let Some(recipient) = self
            .recipients
            .iter()
            .find(|recipient| recipient.number == fate.number)
        else {
            return;
        };
        let delay = OffsetDateTime::now_utc() - self.accepted_at;
        let told = message_log::Fate {
            recipient: &recipient.mailbox,
            next_hop: &host(&fate.far_end, &self.next_hop),
            delay: Duration::try_from(delay).unwrap_or_default(),
            status: &fate.report.status,
            reply: &words(&fate.report),
        };
        let message = self.message();
        match fate.end {
            End::Delivered => message_log::delivered(&message, &told),
            End::Deferred => message_log::deferred(&message, &told),
            End::Failed => message_log::bounced(&message, &told),
            End::Expired => message_log::expired(&message, &told),
            End::Held => message_log::held(&message, &told),
            End::Discarded => message_log::discarded(&message, &told),
        }
    }

    fn message(&self) -> Message<'_> {
        Message {
            queue_id: &self.queue_id,
            reverse_path: &self.reverse_path,
        }
    }
}

impl NotificationStory {
    /// The story of a notification that is to be queued.
    pub(crate) fn new(notification: &NewMessage) -> Self {
        Self {
            queue_id: notification.id,
            recipients: notification.recipients.clone(),
            size: notification.content.len(),
        }
    }

    /// Its COMMIT has succeeded.
    pub(crate) fn queued(&self) {
        let message = Message {
            queue_id: &self.queue_id,
            reverse_path: &ReversePath::Null,
        };
        let source = Source {
            service: Service::Outbound.as_str(),
            size: self.size as u64,
            ..Source::default()
        };
        message_log::accepted(&message, &source, &self.recipients);
    }
}

/// The host that was spoken with, else the next hop: `mx.example.org[192.0.2.1]`.
fn host(far_end: &FarEnd, next_hop: &str) -> String {
    match (&far_end.host, far_end.host_address) {
        (Some(host), Some(address)) => format!("{host}[{address}]"),
        (Some(host), None) => host.clone(),
        (None, _) => next_hop.to_owned(),
    }
}
