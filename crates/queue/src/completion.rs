//! What a relay reports about a lease when its attempt is over.

use std::collections::HashMap;

use smtp::EnhancedStatus;
use time::OffsetDateTime;

use crate::content::Content;
use crate::journal::JournalEntry;
use crate::lease::{Lease, LeasedUnit};
use crate::message::NewMessage;
use crate::message_id;
use crate::prepare::PreparedMessage;

/// How a recipient left the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Settlement {
    /// The next hop took responsibility.
    Delivered,
    /// It failed for good.
    Failed,
    /// It was still failing when its time was up.
    Expired,
    /// A route says that its mail is thrown away.
    Discarded,
}

impl Settlement {
    /// The event in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Discarded => "discarded",
        }
    }
}

/// What becomes of the recipients that were not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rest {
    /// To be tried again later.
    Defer {
        /// When; [`Completer`](crate::Completer) moves it forward to the moment of expiry where
        /// that is still ahead, so that the last attempt falls there.
        due_at: OffsetDateTime,
        /// The status of this attempt, for operators.
        status: EnhancedStatus,
        /// What the far end said, or our words: one line.
        reply: String,
    },
    /// Given back, for any relay to take at once.
    Release {
        /// Whether this counts as an attempt. An uncharged one never happened: the attempt number
        /// still rises, since fences hang on it, but the back-off starts from the old count.
        charge: bool,
    },
    /// Kept until an operator releases it.
    Hold {
        /// Why, for operators: one line.
        reason: String,
    },
}

/// The end of one attempt at one unit.
#[derive(Debug)]
pub struct Completion {
    /// Without its content.
    pub(crate) unit: LeasedUnit,
    /// From the content, where that was at hand.
    pub(crate) message_id: Option<String>,
    pub(crate) settled: Vec<(i32, Settlement)>,
    /// None when nobody remains.
    pub(crate) rest: Option<Rest>,
    pub(crate) journal: Vec<JournalEntry>,
    pub(crate) notifications: Vec<PreparedMessage>,
}

impl Completion {
    /// Ends an attempt. `settled` says, by recipient number, who left the queue and how; `rest`
    /// applies to the recipients that it doesn't name, and to nobody if it names them all. Numbers
    /// that the unit doesn't have are ignored; of two entries for one number the last counts.
    ///
    /// The unit's content is let go.
    #[must_use]
    pub fn new(
        mut unit: LeasedUnit,
        settled: impl IntoIterator<Item = (i32, Settlement)>,
        rest: Rest,
    ) -> Self {
        let content = unit.content.take();
        let message_id = message_id::for_journal(unit.lease.unit.queue_id, content.as_ref());
        let settled: HashMap<i32, Settlement> = settled.into_iter().collect();
        let settled: Vec<(i32, Settlement)> = unit
            .recipients
            .iter()
            .filter_map(|recipient| {
                let settlement = settled.get(&recipient.number)?;
                Some((recipient.number, *settlement))
            })
            .collect();
        let rest = (settled.len() < unit.recipients.len()).then_some(rest);
        Self {
            unit,
            message_id,
            settled,
            rest,
            journal: Vec::new(),
            notifications: Vec::new(),
        }
    }

    /// Adds what the journal keeps of the content, where the unit came without it.
    #[must_use]
    pub fn about(mut self, content: &Content) -> Self {
        let queue_id = self.unit.lease.unit.queue_id;
        self.message_id = self
            .message_id
            .or_else(|| message_id::for_journal(queue_id, Some(content)));
        self
    }

    /// Adds the attempt's journal: an entry per group of recipients that fared alike. It is
    /// written even if the lease turns out to be fenced.
    #[must_use]
    pub fn journalled(mut self, entries: impl IntoIterator<Item = JournalEntry>) -> Self {
        self.journal.extend(entries);
        self
    }

    /// Adds notifications, queued in the same transaction and only if the lease still held. Their
    /// ids belong into the shard of the unit's message ([`crate::QueueId::generate`]). One without
    /// a recipient is ignored, and so are all of them if the unit's reverse-path is null: failed
    /// notifications are never notified of (RFC 5321 §6.1).
    #[must_use]
    pub fn notifying(mut self, notifications: impl IntoIterator<Item = NewMessage>) -> Self {
        if self.unit.reverse_path.is_null() {
            return self;
        }
        self.notifications
            .extend(notifications.into_iter().filter_map(PreparedMessage::new));
        self
    }

    /// Whether everybody was delivered, and that is all.
    pub(crate) fn is_plain_delivery(&self) -> bool {
        let mut settled = self.settled.iter();
        self.rest.is_none()
            && self.notifications.is_empty()
            && settled.all(|(_, settlement)| *settlement == Settlement::Delivered)
    }

    /// The lease that this ends.
    #[must_use]
    pub const fn lease(&self) -> Lease {
        self.unit.lease
    }
}

/// What a completion came to.
#[derive(Clone, Debug)]
pub enum Completed {
    /// It is recorded, and so are the notifications.
    Done {
        /// One for each unit of each leased notification, content included.
        notifications: Vec<LeasedUnit>,
    },
    /// The lease was no longer held: nothing but the journal was written.
    Fenced,
}
