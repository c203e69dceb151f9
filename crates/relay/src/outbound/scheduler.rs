//! From a held unit to a worker that attempts it: the next hop is looked up, the unit waits in that
//! hop's lane, and workers come and go with the work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use rpc::directory::DirectoryClient;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::held::HeldUnit;
use super::lanes::{LaneLimits, Lanes, Wake};
use super::route::{NextHop, RouteTable};
use super::worker::{self, WorkerContext};

/// The routes, replaced as a whole when the configuration is read again.
pub(crate) type Routes = Arc<arc_swap::ArcSwap<RouteTable>>;

/// Distributes held units over next hops. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Scheduler {
    shared: Arc<Shared>,
}

struct Shared {
    lanes: Mutex<Lanes>,
    routes: Routes,
    directory: DirectoryClient,
    context: WorkerContext,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Scheduler {
    /// Starts with nothing. When `stop` is cancelled, workers end after the attempt that they are
    /// at.
    pub(crate) fn new(
        limits: LaneLimits,
        routes: Routes,
        directory: DirectoryClient,
        context: WorkerContext,
        stop: CancellationToken,
    ) -> Self {
        let shared = Shared {
            lanes: Mutex::new(Lanes::new(limits)),
            routes,
            directory,
            context,
            tasks: TaskTracker::new(),
            stop,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Takes in units; those of one message that go to one next hop go there together. Returns at
    /// once: a directory that must be asked first is asked on the side.
    pub(crate) fn submit(&self, units: impl IntoIterator<Item = HeldUnit>) {
        let mut units = units.into_iter().peekable();
        while let Some(first) = units.next() {
            let id = first.unit.lease.unit.queue_id;
            let mut message = vec![first];
            while let Some(next) = units.next_if(|held| held.unit.lease.unit.queue_id == id) {
                message.push(next);
            }
            self.submit_message(message);
        }
    }

    /// Waits until every worker has ended; only after `stop`.
    pub(crate) async fn finish(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Takes back everything that waits untried.
    pub(crate) fn drain(&self) -> Vec<HeldUnit> {
        self.lanes().drain()
    }

    pub(super) fn lanes(&self) -> MutexGuard<'_, Lanes> {
        // Lanes are whole between any two of their methods, none of which panics.
        self.shared
            .lanes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn context(&self) -> &WorkerContext {
        &self.shared.context
    }

    pub(super) fn stop(&self) -> &CancellationToken {
        &self.shared.stop
    }

    /// Puts a unit into the lane of a next hop.
    pub(super) fn push(&self, next_hop: &NextHop, held: HeldUnit) {
        let wake = self.lanes().push(next_hop, held);
        self.wake(wake, next_hop);
    }

    fn submit_message(&self, units: Vec<HeldUnit>) {
        match self.next_hops(&units).now_or_never() {
            Some(next_hops) => self.place(units, &next_hops),
            None => {
                let scheduler = self.clone();
                self.shared.tasks.spawn(async move {
                    let next_hops = scheduler.next_hops(&units).await;
                    scheduler.place(units, &next_hops);
                });
            }
        }
    }

    async fn next_hops(&self, units: &[HeldUnit]) -> Vec<NextHop> {
        let mut next_hops = Vec::with_capacity(units.len());
        for held in units {
            next_hops.push(self.next_hop(&held.unit.domain).await);
        }
        next_hops
    }

    async fn next_hop(&self, domain: &str) -> NextHop {
        match self.shared.directory.is_local(domain).await {
            Ok(is_local) => self.shared.routes.load().next_hop(domain, is_local),
            // Local mail must not leave the house by mistake, nor be refused for want of an answer.
            Err(error) => {
                let error = service::one_line(&error);
                tracing::warn!(domain, error, "directory did not answer");
                NextHop::Unknown
            }
        }
    }

    /// Puts all units of a message into lanes before any worker can take one of them.
    fn place(&self, units: Vec<HeldUnit>, next_hops: &[NextHop]) {
        let mut lanes = self.lanes();
        let wakes: Vec<(Wake, &NextHop)> = units
            .into_iter()
            .zip(next_hops)
            .map(|(held, next_hop)| (lanes.push(next_hop, held), next_hop))
            .collect();
        drop(lanes);
        for (wake, next_hop) in wakes {
            self.wake(wake, next_hop);
        }
    }

    fn wake(&self, wake: Wake, next_hop: &NextHop) {
        if wake == Wake::Start {
            let worker = worker::work(self.clone(), next_hop.clone());
            self.shared.tasks.spawn(worker);
        }
    }
}
