//! What takes in handed-off mail: the incarnation that is alive now, if any.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use queue::{IncarnationId, Shard};
use rpc::hand_off::{HandOffSink, HandedOff};
use tokio::sync::Notify;

use super::held::Holdings;
use super::scheduler::Scheduler;

/// One incarnation at work.
pub(crate) struct Engine {
    /// The holder of all its leases.
    pub(crate) incarnation: IncarnationId,
    /// What it holds.
    pub(crate) holdings: Holdings,
    /// What it does with it.
    pub(crate) scheduler: Scheduler,
}

/// The hand-off's way into whichever incarnation is alive. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Sink {
    current: Arc<ArcSwapOption<Engine>>,
    /// Wakes the poll.
    pub(crate) work: Arc<Notify>,
}

impl Sink {
    /// Mail goes to this incarnation from now on, or to none.
    pub(crate) fn set(&self, engine: Option<Engine>) {
        self.current.store(engine.map(Arc::new));
    }
}

impl HandOffSink for Sink {
    fn receive(&self, units: Vec<HandedOff>) {
        let current = self.current.load();
        let Some(engine) = current.as_ref() else {
            return;
        };
        // What was leased to an earlier incarnation will be reclaimed.
        let ours = units
            .into_iter()
            .filter(|handed_off| handed_off.unit.lease.holder == engine.incarnation);
        let held = ours.filter_map(|HandedOff { unit, permit }| {
            engine.holdings.take_in(unit, Box::new(permit))
        });
        engine.scheduler.submit(held);
    }

    fn hint(&self, _shard: Shard) {
        self.work.notify_one();
    }
}
