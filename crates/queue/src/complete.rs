//! Completing attempts: fenced, batched, with journal, ledger and notifications in one commit.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection as _;
use thiserror::Error;

use crate::committer::{BatchCommitter, BatchWork};
use crate::completion::{Completed, Completion};
use crate::database::Queue;
use crate::error::Cause;
use crate::fault::Fault;
use crate::ids::Shard;
use crate::insert::insert;
use crate::lanes::{BatchLimits, Lanes};
use crate::metrics;
use crate::prepare::PreparedMessage;
use crate::settle::settle;
use crate::way::Session;

/// How completions are gathered into commits.
#[derive(Clone, Debug)]
pub struct CompleteConfig {
    /// The name of this machine, for the journal.
    pub node: String,
    /// Commits in flight at once, each over a connection of its own.
    pub lanes: usize,
    /// Most completions in one commit.
    pub batch_units: usize,
    /// Completions that may wait for a lane; callers beyond them wait.
    pub waiting: usize,
    /// Whether completions that only say "delivered" are committed without waiting for the disk,
    /// as if a queue file were unlinked without a sync. Should the database server crash, the
    /// last of them (less than a second's) are undone and their mail is delivered twice. Failures,
    /// deferrals and notifications always wait.
    pub relaxed_deliveries: bool,
}

impl CompleteConfig {
    /// Two lanes, at most 500 completions in a commit, all on disk.
    #[must_use]
    pub fn new(node: impl Into<String>) -> Self {
        Self {
            node: node.into(),
            lanes: 2,
            batch_units: 500,
            waiting: 4096,
            relaxed_deliveries: false,
        }
    }
}

/// Most octets of notifications in one commit.
const BATCH_BYTES: usize = 8 << 20;

/// Why a completion was given up.
#[derive(Clone, Debug, Error)]
pub enum CompleteError {
    /// Its data were refused: nothing was recorded and the lease stands. Hold the unit instead
    /// ([`Rest::Hold`](crate::Rest::Hold)), lest it be attempted over and over.
    #[error("the queue database refused the completion")]
    Rejected(#[source] Cause),
    /// The committers have stopped.
    #[error("the service is shutting down")]
    ShuttingDown,
}

/// Records the ends of attempts; those that come at once share a commit. Cheap to clone.
#[derive(Clone)]
pub struct Completer {
    lanes: Lanes<BatchCommitter<Settling>>,
}

impl Completer {
    /// Starts the committers. They end when the last clone is dropped.
    #[must_use]
    pub fn start(queue: &Queue, config: &CompleteConfig) -> Self {
        let work = Settling {
            node: config.node.as_str().into(),
            relaxed_deliveries: config.relaxed_deliveries,
        };
        let limits = BatchLimits {
            items: config.batch_units,
            bytes: BATCH_BYTES,
        };
        let committers = BatchCommitter::several(queue, work, config.lanes);
        Self {
            lanes: Lanes::start(committers, limits, config.waiting),
        }
    }

    /// Records the end of an attempt. While the database is away this retries, since what was
    /// delivered must not be attempted again; a repeated completion changes nothing. Dropping the
    /// future stops the retries.
    ///
    /// # Errors
    /// Any [`CompleteError`].
    pub async fn complete(&self, mut completion: Completion) -> Result<Completed, CompleteError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.lanes.submit(completion).await {
                Ok(Answer::Ended(completed)) => return Ok(completed),
                Ok(Answer::Rejected(cause)) => return Err(CompleteError::Rejected(cause)),
                Ok(Answer::Again(again)) => completion = *again,
                Err(_) => return Err(CompleteError::ShuttingDown),
            }
            // Spread, so that a relay's completions don't all come back at once.
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl std::fmt::Debug for Completer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Completer").finish_non_exhaustive()
    }
}

/// First pause before a completion is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

enum Answer {
    Ended(Completed),
    Rejected(Cause),
    /// Not now: the completion comes back to its caller.
    Again(Box<Completion>),
}

struct Settling {
    node: Arc<str>,
    relaxed_deliveries: bool,
}

impl BatchWork for Settling {
    type Item = Completion;
    type Answer = Answer;
    /// The positions that the fence let through.
    type Receipt = HashSet<usize>;
    const NAME: &'static str = metrics::COMPLETE;

    fn shard(item: &Completion) -> Shard {
        item.lease().unit.queue_id.shard()
    }

    fn weight(item: &Completion) -> usize {
        let notifications = item.notifications.iter();
        notifications.map(PreparedMessage::weight).sum()
    }

    fn is_relaxed(&self, end: &Completion) -> bool {
        self.relaxed_deliveries && end.is_plain_delivery()
    }

    /// Healthy completions are one statement. Notifications are queued by a second one, in the
    /// same transaction and only for those that the first let through.
    async fn commit(
        &self,
        session: Session<'_>,
        shard: Shard,
        completions: &[Completion],
    ) -> Result<HashSet<usize>, sqlx::Error> {
        if completions.iter().all(|end| end.notifications.is_empty()) {
            return settle(session, shard, &self.node, completions).await;
        }
        let Session { connection, keeps } = session;
        let mut transaction = connection.begin().await?;
        let ended = settle(
            Session::new(&mut transaction, keeps),
            shard,
            &self.node,
            completions,
        )
        .await?;
        for (shard, messages) in notifications(completions, &ended) {
            insert(Session::new(&mut transaction, keeps), shard, &messages).await?;
        }
        transaction.commit().await?;
        Ok(ended)
    }

    fn accept(&self, end: Completion, ended: &HashSet<usize>, position: usize) -> Answer {
        Answer::Ended(if ended.contains(&position) {
            let notifications = end.notifications.into_iter();
            Completed::Done {
                notifications: notifications
                    .flat_map(PreparedMessage::into_leases)
                    .collect(),
            }
        } else {
            metrics::fenced();
            Completed::Fenced
        })
    }

    fn refuse(&self, end: Completion, fault: Fault, cause: &Cause) -> Answer {
        match fault {
            Fault::Data => Answer::Rejected(Arc::clone(cause)),
            _ => Answer::Again(Box::new(end)),
        }
    }
}

/// The notifications to be queued, by shard: that of the unit's message, if the caller took care.
fn notifications<'a>(
    completions: &'a [Completion],
    ended: &HashSet<usize>,
) -> BTreeMap<Shard, Vec<&'a PreparedMessage>> {
    let mut messages: BTreeMap<Shard, Vec<&PreparedMessage>> = BTreeMap::new();
    for (position, end) in completions.iter().enumerate() {
        if ended.contains(&position) {
            for new in &end.notifications {
                let shard = new.message.id.shard();
                messages.entry(shard).or_default().push(new);
            }
        }
    }
    messages
}
