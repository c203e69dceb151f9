//! From a held unit to a worker that attempts it: the next hop is looked up, the unit waits in that hop's lane, and
//! workers come and go with the work.

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
    /// Starts with nothing. When `stop` is cancelled, workers end after the attempt that they are at.
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

    /// Takes in a unit. Returns at once: a directory that must be asked first is asked on the side.
    pub(crate) fn submit(&self, held: HeldUnit) {
        let known = self.is_local(&held.unit.domain).now_or_never();
        match known {
            Some(is_local) => self.place(held, is_local),
            None => {
                let scheduler = self.clone();
                self.shared.tasks.spawn(async move {
                    let is_local = scheduler.is_local(&held.unit.domain).await;
                    scheduler.place(held, is_local);
                });
            }
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
        if wake == Wake::Start {
            self.shared
                .tasks
                .spawn(worker::work(self.clone(), next_hop.clone()));
        }
    }

    async fn is_local(&self, domain: &str) -> Result<bool, rpc::RpcError> {
        self.shared.directory.is_local(domain).await
    }

    fn place(&self, held: HeldUnit, is_local: Result<bool, rpc::RpcError>) {
        let routes = self.shared.routes.load();
        let next_hop = match is_local {
            Ok(is_local) => routes.next_hop(&held.unit.domain, is_local),
            // Local mail must not leave the house by mistake, nor be refused for want of an answer.
            Err(error) => {
                tracing::warn!(
                    domain = held.unit.domain,
                    error = service::one_line(&error),
                    "directory did not answer"
                );
                NextHop::Unknown
            }
        };
        self.push(&next_hop, held);
    }
}
