//! The heartbeat of an incarnation, and its watch over the others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgConnection;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::connection::{OwnConnection, answered_within};
use crate::database::Queue;
use crate::ids::IncarnationId;
use crate::liveness::{Observer, ObserverConfig, Stopped};
use crate::metrics;
use crate::statement::read_all;
use crate::way::Way;

/// How a heart beats.
#[derive(Clone, Copy, Debug)]
pub struct HeartConfig {
    /// Time between heartbeats.
    pub interval: Duration,
    /// An incarnation whose heartbeat stands still for so long is dead. The same for all relays
    /// of a fleet.
    pub ttl: Duration,
    /// The heart stops beating when there was no progress for so long.
    pub patience: Duration,
}

impl Default for HeartConfig {
    /// A beat a second and 10 seconds to live: with the second that a reclaim and the second that
    /// a claim may take to come round, a dead relay's mail is attempted again within 15 seconds.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            ttl: Duration::from_secs(10),
            patience: Duration::from_secs(4),
        }
    }
}

/// The scheduler's sign of life: it calls [`Progress::note`] each time round its loop, at least
/// once a second.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Notes that the scheduler came round.
    pub fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn rounds(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Raises the heartbeat of an incarnation over a connection of its own, and pronounces dead those
/// incarnations whose heartbeat stands still.
#[derive(Debug)]
pub struct Heart {
    beats: Arc<Beats>,
    fenced: watch::Receiver<bool>,
    task: AbortHandle,
}

/// When the last good heartbeat began. At first, when the incarnation was registered.
#[derive(Debug)]
struct Beats {
    ttl: Duration,
    last_good: Mutex<Instant>,
}

impl Heart {
    /// Starts beating for an incarnation that was registered just now. Stops when dropped.
    #[must_use]
    pub fn start(
        queue: &Queue,
        incarnation: IncarnationId,
        config: HeartConfig,
        progress: Progress,
    ) -> Self {
        let beats = Arc::new(Beats {
            ttl: config.ttl,
            last_good: Mutex::new(Instant::now()),
        });
        let (fence, fenced) = watch::channel(false);
        let pacemaker = Pacemaker {
            connection: OwnConnection::new(queue),
            incarnation,
            config,
            started: Instant::now(),
            beats: Arc::clone(&beats),
            observer: Observer::new(ObserverConfig {
                ttl: config.ttl,
                longest_gap: (config.interval * 2).max(config.ttl / 3),
            }),
            progress: Watched::new(progress),
            fence,
        };
        let task = tokio::spawn(pacemaker.run()).abort_handle();
        Self {
            beats,
            fenced,
            task,
        }
    }

    /// Whether the last good heartbeat began less than the TTL minus `margin` ago, so that nobody
    /// can have taken over yet. Asked before the final dot and before `Deliver`.
    #[must_use]
    pub fn is_good(&self, margin: Duration) -> bool {
        !*self.fenced.borrow() && self.beats.age() + margin < self.beats.ttl
    }

    /// Turns true when this incarnation was pronounced dead: whatever it holds is somebody
    /// else's now. Drop everything and register anew.
    #[must_use]
    pub fn fenced(&self) -> watch::Receiver<bool> {
        self.fenced.clone()
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Beats {
    fn age(&self) -> Duration {
        let last_good = self
            .last_good
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last_good.elapsed()
    }

    fn note(&self, began: Instant) {
        *self
            .last_good
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = began;
    }
}

/// Progress, and when it was last seen to change.
struct Watched {
    progress: Progress,
    rounds: u64,
    changed: Instant,
}

impl Watched {
    fn new(progress: Progress) -> Self {
        Self {
            rounds: progress.rounds(),
            progress,
            changed: Instant::now(),
        }
    }

    fn stands_still_for(&mut self) -> Duration {
        let rounds = self.progress.rounds();
        if rounds != self.rounds {
            self.rounds = rounds;
            self.changed = Instant::now();
        }
        self.changed.elapsed()
    }
}

struct Pacemaker {
    connection: OwnConnection,
    incarnation: IncarnationId,
    config: HeartConfig,
    started: Instant,
    beats: Arc<Beats>,
    observer: Observer,
    progress: Watched,
    fence: watch::Sender<bool>,
}

/// Raises one's own counter and reads those of the others; a row at least.
const BEAT: &str = "
WITH mine AS (
    UPDATE queue.incarnation
    SET heartbeat = heartbeat + 1
    WHERE id = $1 AND fenced_at IS NULL AND ended_at IS NULL
    RETURNING id
)
SELECT EXISTS (SELECT FROM mine), other.id, other.heartbeat
FROM (SELECT) AS one
LEFT JOIN queue.live_incarnation AS other ON other.id <> $1
";

/// Pronounces an incarnation dead, unless its counter has moved meanwhile.
const PRONOUNCE: &str = "
UPDATE queue.incarnation SET fenced_at = now()
WHERE id = $1 AND heartbeat = $2 AND fenced_at IS NULL AND ended_at IS NULL
";

/// One's own state, and the counters of the others.
struct Snapshot {
    alive: bool,
    others: Vec<(IncarnationId, i64)>,
}

impl Pacemaker {
    async fn run(mut self) {
        let mut ticks = interval(self.config.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let stands_still_for = self.progress.stands_still_for();
            if stands_still_for > self.config.patience {
                tracing::error!(
                    incarnation = %self.incarnation,
                    seconds = stands_still_for.as_secs(),
                    "the scheduler makes no progress: no heartbeat"
                );
                self.observer.disturbed();
                continue;
            }
            if !self.beat().await {
                tracing::error!(incarnation = %self.incarnation, "pronounced dead by another relay");
                // Nobody may be listening.
                let _ = self.fence.send(true);
                return;
            }
        }
    }

    /// One heartbeat, and what the others' are like. False when this incarnation is dead.
    async fn beat(&mut self) -> bool {
        let began = Instant::now();
        match self.raise_and_read().await {
            Ok(Snapshot { alive: false, .. }) => return false,
            Ok(Snapshot { others, .. }) => {
                self.beats.note(began);
                let now = self.started.elapsed();
                for stopped in self.observer.observe(now, others) {
                    self.pronounce(stopped).await;
                }
            }
            Err(error) => {
                tracing::warn!(incarnation = %self.incarnation, %error, "a heartbeat failed");
                self.observer.disturbed();
            }
        }
        true
    }

    async fn raise_and_read(&mut self) -> Result<Snapshot, String> {
        let deadline = self.deadline();
        let way = self.connection.way();
        let connection = self.connection.get().await.map_err(|e| e.to_string())?;
        let result = answered_within(deadline, beat(&way, connection, self.incarnation)).await;
        self.connection.note(&result);
        result.map_err(|error| error.to_string())
    }

    async fn pronounce(&mut self, stopped: Stopped) {
        let (deadline, way) = (self.deadline(), self.connection.way());
        let Ok(connection) = self.connection.get().await else {
            return;
        };
        let query = sqlx::query(PRONOUNCE)
            .bind(stopped.incarnation.0)
            .bind(stopped.heartbeat);
        let result = answered_within(deadline, way.done(connection, query)).await;
        self.connection.note(&result);
        match result {
            Ok(done) if done.rows_affected() > 0 => {
                metrics::pronounced_dead();
                tracing::warn!(incarnation = %stopped.incarnation, "pronounced a relay dead");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "could not pronounce a relay dead"),
        }
    }

    /// A heartbeat that takes longer had better be tried over another connection.
    fn deadline(&self) -> Duration {
        self.config.ttl / 4
    }
}

async fn beat(
    way: &Way,
    connection: &mut PgConnection,
    incarnation: IncarnationId,
) -> Result<Snapshot, sqlx::Error> {
    let query = sqlx::query(BEAT).bind(incarnation.0);
    let rows = way.rows(connection, query).await?;
    let rows: Vec<(bool, Option<i64>, Option<i64>)> = read_all(&rows)?;
    Ok(Snapshot {
        alive: rows.iter().all(|(alive, ..)| *alive),
        others: rows
            .into_iter()
            .filter_map(|(_, id, heartbeat)| Some((IncarnationId(id?), heartbeat?)))
            .collect(),
    })
}
