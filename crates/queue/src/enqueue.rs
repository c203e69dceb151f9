//! Enqueueing: the commit after which `250` is said (RFC 5321 §6.1).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::committer::{BatchCommitter, BatchWork};
use crate::database::Queue;
use crate::error::{Cause, EnqueueError};
use crate::fault::Fault;
use crate::ids::{QueueId, Shard};
use crate::insert::insert;
use crate::lanes::{BatchLimits, Lanes};
use crate::lease::LeasedUnit;
use crate::message::NewMessage;
use crate::metrics;
use crate::prepare::PreparedMessage;
use crate::shard_clock::ShardClock;
use crate::way::Session;

/// How messages are gathered into commits.
#[derive(Clone, Copy, Debug)]
pub struct EnqueueConfig {
    /// Commits in flight at once, each over a connection of its own.
    pub lanes: usize,
    /// Most messages in one commit.
    pub batch_messages: usize,
    /// Most octets of content and recipients in one commit, unless a single message exceeds it.
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
#[derive(Clone)]
pub struct Enqueuer {
    lanes: Lanes<BatchCommitter<Insertion>>,
    clock: Arc<ShardClock>,
    counters: Arc<Counters>,
}

impl Enqueuer {
    /// Starts the committers. They end when the last clone is dropped.
    #[must_use]
    pub fn start(queue: &Queue, config: EnqueueConfig) -> Self {
        let counters = Arc::new(Counters::default());
        let work = Insertion {
            counters: Arc::clone(&counters),
        };
        let limits = BatchLimits {
            items: config.batch_messages,
            bytes: config.batch_bytes,
        };
        let committers = BatchCommitter::several(queue, work, config.lanes);
        Self {
            lanes: Lanes::start(committers, limits, config.waiting),
            clock: Arc::new(ShardClock::start()),
            counters,
        }
    }

    /// A name for the next message. Names made within about a second share a shard, so that
    /// concurrent messages share a commit.
    #[must_use]
    pub fn next_id(&self) -> QueueId {
        QueueId::generate(self.clock.shard())
    }

    /// Queues a message with all of its recipients, or fails. When this returns `Ok`, the message
    /// is on disk.
    ///
    /// # Errors
    /// Any [`EnqueueError`].
    pub async fn enqueue(&self, message: NewMessage) -> Result<Enqueued, EnqueueError> {
        let prepared = PreparedMessage::new(message).ok_or(EnqueueError::NoRecipients)?;
        self.lanes
            .submit(prepared)
            .await
            .unwrap_or(Err(EnqueueError::ShuttingDown))
    }

    /// Tells that a message is about to come, so that the database is ready for it: after a pause
    /// of milliseconds a commit takes twice as long as in the midst of others. Never waits.
    pub fn expect_message(&self) {
        self.lanes.expect();
    }

    /// What was done so far.
    #[must_use]
    pub fn statistics(&self) -> EnqueueStatistics {
        self.counters.read()
    }
}

impl std::fmt::Debug for Enqueuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enqueuer")
            .field("statistics", &self.statistics())
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Counters {
    commits: AtomicU64,
    messages: AtomicU64,
    unknown: AtomicU64,
}

impl Counters {
    fn read(&self) -> EnqueueStatistics {
        EnqueueStatistics {
            commits: self.commits.load(Ordering::Relaxed),
            messages: self.messages.load(Ordering::Relaxed),
            unknown: self.unknown.load(Ordering::Relaxed),
        }
    }
}

type Answer = Result<Enqueued, EnqueueError>;

struct Insertion {
    counters: Arc<Counters>,
}

impl BatchWork for Insertion {
    type Item = PreparedMessage;
    type Answer = Answer;
    type Receipt = ();
    const NAME: &'static str = metrics::ENQUEUE;

    fn shard(item: &PreparedMessage) -> Shard {
        item.message.id.shard()
    }

    fn weight(item: &PreparedMessage) -> usize {
        item.weight()
    }

    /// `250` follows this commit.
    fn is_relaxed(&self, _item: &PreparedMessage) -> bool {
        false
    }

    async fn commit(
        &self,
        session: Session<'_>,
        shard: Shard,
        messages: &[PreparedMessage],
    ) -> Result<(), sqlx::Error> {
        insert(session, shard, messages).await?;
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        let count = messages.len() as u64;
        self.counters.messages.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    async fn rehearse(&self, session: Session<'_>) -> Result<(), sqlx::Error> {
        insert::<PreparedMessage>(session, Shard::random(), &[]).await
    }

    fn accept(&self, message: PreparedMessage, (): &(), _position: usize) -> Answer {
        Ok(Enqueued {
            units: message.into_leases(),
        })
    }

    fn refuse(&self, message: PreparedMessage, fault: Fault, cause: &Cause) -> Answer {
        if fault == Fault::Unknown {
            self.counters.unknown.fetch_add(1, Ordering::Relaxed);
        }
        Err(refusal(message.message.id, fault, cause))
    }
}

fn refusal(id: QueueId, fault: Fault, cause: &Cause) -> EnqueueError {
    let cause = Arc::clone(cause);
    match fault {
        Fault::DiskFull => EnqueueError::DiskFull(cause),
        Fault::Unknown => EnqueueError::Unknown(cause),
        Fault::Data if is_duplicate(&cause) => EnqueueError::AlreadyQueued(id),
        Fault::Data => EnqueueError::Rejected(cause),
        Fault::Unavailable | Fault::Collision | Fault::Statement => {
            EnqueueError::Unavailable(cause)
        }
    }
}

/// Whichever table is written first complains.
fn is_duplicate(cause: &sqlx::Error) -> bool {
    let constraint = cause
        .as_database_error()
        .and_then(|error| error.constraint());
    matches!(
        constraint,
        Some("message_pkey" | "content_pkey" | "unit_pkey")
    )
}
