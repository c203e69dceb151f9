//! Enqueueing: the commit after which `250` is said (RFC 5321 §6.1).

use crate::database::Queue;
use crate::error::EnqueueError;
use crate::ids::QueueId;
use crate::lease::LeasedUnit;
use crate::message::NewMessage;

/// How messages are gathered into commits.
#[derive(Clone, Copy, Debug)]
pub struct EnqueueConfig {
    /// Commits in flight at once, each over a connection of its own.
    pub lanes: usize,
    /// Most messages in one commit.
    pub batch_messages: usize,
    /// Most octets of content in one commit, unless a single message exceeds it.
    pub batch_bytes: usize,
    /// Messages that may wait for a lane; callers beyond them wait in [`Enqueuer::enqueue`].
    pub waiting: usize,
}

impl Default for EnqueueConfig {
    fn default() -> Self {
        Self {
            lanes: 2,
            batch_messages: 500,
            batch_bytes: 8 << 20,
            waiting: 4096,
        }
    }
}

/// A message that is queued for good.
#[derive(Clone, Debug)]
pub struct Enqueued {
    /// The units that were leased at once, content included; empty without
    /// [`NewMessage::lease_to`].
    pub units: Vec<LeasedUnit>,
}

/// Counts since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnqueueStatistics {
    /// Commits that succeeded.
    pub commits: u64,
    /// Messages in them.
    pub messages: u64,
    /// Messages whose commit ended in [`EnqueueError::Unknown`]: possible duplicates.
    pub unknown: u64,
}

/// Queues messages; those that come at once share a commit. Cheap to clone.
///
/// While a commit is in flight the next one gathers; there is no timer, so that a lone message
/// never waits. A caller that goes away does not cancel a commit.
#[derive(Clone, Debug)]
pub struct Enqueuer {}

impl Enqueuer {
    /// Starts the committers. They end when the last clone is dropped.
    #[must_use]
    pub fn start(_queue: &Queue, _config: EnqueueConfig) -> Self {
        todo!()
    }

    /// A name for the next message. Names made within about a second share a shard, so that
    /// concurrent messages share a commit.
    #[must_use]
    pub fn next_id(&self) -> QueueId {
        todo!()
    }

    /// Queues a message with all of its recipients, or fails. When this returns `Ok`, the message
    /// is on disk.
    ///
    /// # Errors
    /// Any [`EnqueueError`].
    pub async fn enqueue(&self, _message: NewMessage) -> Result<Enqueued, EnqueueError> {
        todo!()
    }

    /// What was done so far.
    #[must_use]
    pub fn statistics(&self) -> EnqueueStatistics {
        todo!()
    }
}
