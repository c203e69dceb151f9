//! Where units come from when they don't come over the hand-off: claims of what is ready, adoption
//! of what was leased to us and never arrived, expiry of what waits for a destination that is down.
//! A poll with jitter is the truth; hints only make it sooner.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use queue::{ClaimLimits, Claimer, Progress, Queue, QueueError, Shard};
use rand::RngExt;
use rand::seq::SliceRandom;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::expiry::Expiry;
use super::held::Holdings;
use super::scheduler::Scheduler;

/// Units of one (tenant, routing domain) in one claim of one shard.
const PER_DESTINATION: u32 = 20;
/// Units in one claim of one shard.
const PER_CLAIM: u32 = 200;
/// Deferred units made ready at once, leases reclaimed at once, units expired at once.
const PER_STATEMENT: u32 = 1000;
/// A unit that is leased to us for so long without being known was lost on its way.
const ADOPT_AFTER: Duration = Duration::from_secs(5);
/// Between looks for lost and dead leases.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Fetches work for one incarnation.
pub(crate) struct Intake {
    /// The queue.
    pub(crate) queue: Queue,
    /// Takes leases.
    pub(crate) claimer: Claimer,
    /// What is held, and the room for more.
    pub(crate) holdings: Holdings,
    /// Where units go.
    pub(crate) scheduler: Scheduler,
    /// Ends what expired untried.
    pub(crate) expiry: Expiry,
    /// Wakes the poll.
    pub(crate) work: Arc<Notify>,
    /// The sign of life.
    pub(crate) progress: Progress,
    /// The middle of the time between polls.
    pub(crate) poll: Duration,
    /// Ends the fetching.
    pub(crate) stop: CancellationToken,
}

impl Intake {
    /// Fetches until stopped.
    pub(crate) async fn run(self) {
        let suspects = Arc::new(AtomicUsize::new(0));
        let mut next_sweep = Instant::now();
        while !self.stop.is_cancelled() {
            let mut found_much = false;
            let mut shards: Vec<Shard> = Shard::all().collect();
            shards.shuffle(&mut rand::rng());
            for shard in shards {
                self.progress.note();
                found_much |= self
                    .logged("claim", self.claim(shard).await)
                    .unwrap_or_default();
            }
            self.logged("claim of a suspect", self.claim_suspect(&suspects).await);
            if Instant::now() >= next_sweep {
                next_sweep = Instant::now() + SWEEP_EVERY;
                self.logged("sweep", self.sweep().await);
            }
            if !found_much {
                self.pause().await;
            }
        }
    }

    async fn pause(&self) {
        let pause = self.poll.mul_f64(rand::rng().random_range(0.7..1.3));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.work.notified() => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Claims from one shard; tells whether there is probably more.
    async fn claim(&self, shard: Shard) -> Result<bool, QueueError> {
        self.claimer.promote(shard, PER_STATEMENT).await?;
        for expired in self.claimer.expire(shard, PER_CLAIM).await? {
            self.expiry.expire(expired, &self.holdings).await;
        }
        let free = u32::try_from(self.holdings.free()).unwrap_or(u32::MAX);
        let units = free.min(PER_CLAIM);
        if units == 0 || self.stop.is_cancelled() {
            return Ok(false);
        }
        let limits = ClaimLimits {
            per_destination: PER_DESTINATION,
            units,
        };
        let mut claimed = self.claimer.claim(shard, limits).await?;
        let found_much = claimed.len() >= PER_DESTINATION as usize;
        // Oldest first, and the units of a message side by side.
        claimed.sort_by_key(|unit| unit.lease.unit);
        let held = claimed
            .into_iter()
            .filter_map(|unit| self.holdings.claimed(unit));
        self.scheduler.submit(held);
        Ok(found_much)
    }

    /// What killed relays that held it is attempted alone: one at a time in this process.
    async fn claim_suspect(&self, suspects: &Arc<AtomicUsize>) -> Result<(), QueueError> {
        if suspects.load(Ordering::Acquire) > 0 || self.stop.is_cancelled() {
            return Ok(());
        }
        let Some(unit) = self.claimer.claim_suspect().await? else {
            return Ok(());
        };
        tracing::warn!(unit = %unit.lease.unit, takeovers = unit.unclean_takeovers, "attempting a suspect alone");
        let room = Box::new(Suspect::new(suspects));
        self.scheduler.submit(self.holdings.take_in(unit, room));
        Ok(())
    }

    /// Takes over what the dead hold, and what we hold without knowing it.
    async fn sweep(&self) -> Result<(), QueueError> {
        let reclaimed = self.queue.reclaim(PER_STATEMENT).await?;
        if reclaimed.ready > 0 {
            tracing::info!(
                units = reclaimed.ready,
                "took over leases of relays that are gone"
            );
        }
        if reclaimed.held > 0 {
            tracing::error!(
                units = reclaimed.held,
                "held units whose attempts took relays down with them"
            );
        }
        let adopted = self
            .claimer
            .adopt(ADOPT_AFTER, |unit| self.holdings.knows(unit))
            .await?;
        for unit in adopted {
            tracing::info!(unit = %unit.lease.unit, "adopted a unit that was lost on its way");
            self.scheduler.submit(self.holdings.claimed(unit));
        }
        Ok(())
    }

    fn logged<T>(&self, what: &str, result: Result<T, QueueError>) -> Option<T> {
        result
            .inspect_err(|error| tracing::warn!(error = service::one_line(error), "{what} failed"))
            .ok()
    }
}

/// A suspect in hand, for as long as it is held.
#[derive(Debug)]
struct Suspect(Arc<AtomicUsize>);

impl Suspect {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count.clone())
    }
}

impl Drop for Suspect {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
