//! Who waits for which next hop, and how many workers serve it. Only bookkeeping: nothing here
//! waits or sends.
//!
//! A lane is what is queued in memory for one next hop, with the workers that serve it, each over a
//! connection of its own. The limit of workers adapts: a host that turns a further connection away
//! while others work has said how many it takes.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;

use super::fair_queue::FairQueue;
use super::held::HeldUnit;
use super::route::NextHop;

/// The limits of every lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneLimits {
    /// Workers, and so connections, a remote next hop.
    pub(crate) remote: usize,
    /// Workers for mailboxes of our own.
    pub(crate) local: usize,
    /// Units of one message that go out in one transaction.
    pub(crate) group: usize,
}

/// All lanes of this relay.
#[derive(Debug)]
pub(crate) struct Lanes {
    limits: LaneLimits,
    lanes: HashMap<NextHop, Lane>,
}

#[derive(Debug)]
struct Lane {
    waiting: FairQueue<HeldUnit>,
    /// Wakes one idle worker.
    arrived: Arc<Notify>,
    workers: usize,
    idle: usize,
    connected: usize,
    limit: usize,
}

/// What the caller must do after a unit was queued.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A worker is at it, or will come to it.
    Nobody,
    /// An idle worker was woken.
    Idle,
    /// Start a worker: it is already counted.
    Start,
}

impl Lanes {
    /// No lanes yet.
    pub(crate) fn new(limits: LaneLimits) -> Self {
        Self {
            limits,
            lanes: HashMap::new(),
        }
    }

    /// Queues a unit for its next hop.
    pub(crate) fn push(&mut self, next_hop: &NextHop, held: HeldUnit) -> Wake {
        let most = self.most_workers(next_hop);
        let lane = match self.lanes.get_mut(next_hop) {
            Some(lane) => lane,
            None => self
                .lanes
                .entry(next_hop.clone())
                .or_insert_with(|| Lane::new(most)),
        };
        lane.waiting.push(held.unit.tenant, held);
        if lane.waiting.len() <= lane.idle {
            lane.arrived.notify_one();
            Wake::Idle
        } else if lane.workers < lane.limit {
            lane.workers += 1;
            Wake::Start
        } else {
            Wake::Nobody
        }
    }

    /// The next group for a worker: units of one message, which go out together.
    pub(crate) fn take(&mut self, next_hop: &NextHop) -> Vec<HeldUnit> {
        let most = self.limits.group;
        self.lanes.get_mut(next_hop).map_or_else(Vec::new, |lane| {
            lane.waiting.pop_group(most, |first, next| {
                first.unit.lease.unit.queue_id == next.unit.lease.unit.queue_id
                    && first.unit.unclean_takeovers == next.unit.unclean_takeovers
            })
        })
    }

    /// A worker has nothing to do but keeps its connection for a while: what will wake it.
    pub(crate) fn rest(&mut self, next_hop: &NextHop) -> Option<Arc<Notify>> {
        let lane = self.lanes.get_mut(next_hop)?;
        lane.idle += 1;
        Some(lane.arrived.clone())
    }

    /// A resting worker is back.
    pub(crate) fn resume(&mut self, next_hop: &NextHop) {
        if let Some(lane) = self.lanes.get_mut(next_hop) {
            lane.idle = lane.idle.saturating_sub(1);
        }
    }

    /// Whether anything waits for a next hop.
    pub(crate) fn has_work(&self, next_hop: &NextHop) -> bool {
        self.lanes
            .get(next_hop)
            .is_some_and(|lane| !lane.waiting.is_empty())
    }

    /// A worker ends. `false` when there is work again, so that it must go on instead.
    pub(crate) fn retire(&mut self, next_hop: &NextHop) -> bool {
        let Some(lane) = self.lanes.get_mut(next_hop) else {
            return true;
        };
        if !lane.waiting.is_empty() {
            return false;
        }
        lane.workers = lane.workers.saturating_sub(1);
        if lane.workers == 0 {
            self.lanes.remove(next_hop);
        }
        true
    }

    /// A worker's connection stands: the host takes at least this many.
    pub(crate) fn connected(&mut self, next_hop: &NextHop) {
        let most = self.most_workers(next_hop);
        if let Some(lane) = self.lanes.get_mut(next_hop) {
            lane.connected += 1;
            if lane.connected == lane.limit {
                lane.limit = (lane.limit + 1).min(most);
            }
        }
    }

    /// A worker's connection is gone.
    pub(crate) fn disconnected(&mut self, next_hop: &NextHop) {
        if let Some(lane) = self.lanes.get_mut(next_hop) {
            lane.connected = lane.connected.saturating_sub(1);
        }
    }

    /// A worker got no session. While others serve the lane, the host may only take no more
    /// sessions: the lane narrows to those, the group waits for them, this worker ends, and the
    /// answer is `None`. The last one that is turned away finds that the next hop is down: all that
    /// waits for it comes back, the group first.
    pub(crate) fn turned_away(
        &mut self,
        next_hop: &NextHop,
        group: Vec<HeldUnit>,
    ) -> Option<Vec<HeldUnit>> {
        let Some(lane) = self.lanes.get_mut(next_hop) else {
            return Some(group);
        };
        if lane.workers <= 1 {
            let mut all = group;
            all.extend(lane.waiting.drain());
            return Some(all);
        }
        lane.workers -= 1;
        lane.limit = lane.workers;
        for held in group {
            lane.waiting.push(held.unit.tenant, held);
        }
        lane.arrived.notify_one();
        None
    }

    /// Everything that waits anywhere, to be released.
    pub(crate) fn drain(&mut self) -> Vec<HeldUnit> {
        self.lanes
            .values_mut()
            .flat_map(|lane| lane.waiting.drain())
            .collect()
    }

    fn most_workers(&self, next_hop: &NextHop) -> usize {
        let most = match next_hop {
            NextHop::SmartHost(_) | NextHop::Mx(_) => self.limits.remote,
            _ => self.limits.local,
        };
        most.max(1)
    }
}

impl Lane {
    fn new(limit: usize) -> Self {
        Self {
            waiting: FairQueue::default(),
            arrived: Arc::new(Notify::new()),
            workers: 0,
            idle: 0,
            connected: 0,
            limit,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use queue::{IncarnationId, Lease, LeasedUnit, QueueId, Shard, Tenant, TraceParent, UnitId};
    use smtp::{Body, ReversePath};
    use time::OffsetDateTime;

    use super::super::held::Holdings;
    use super::*;

    const LIMITS: LaneLimits = LaneLimits {
        remote: 3,
        local: 2,
        group: 10,
    };

    fn held(holdings: &Holdings, queue_id: QueueId, number: i32) -> HeldUnit {
        let now = OffsetDateTime::UNIX_EPOCH;
        let lease = Lease {
            unit: UnitId { queue_id, number },
            holder: IncarnationId(1),
            attempt: 1,
        };
        let unit = LeasedUnit {
            lease,
            tenant: Tenant::NONE,
            domain: "far.example".to_owned(),
            reverse_path: ReversePath::Null,
            body: Body::SevenBit,
            recipients: vec![],
            size: 0,
            content: None,
            accepted_at: now,
            expires_at: now,
            trace: TraceParent::generate(),
            unclean_takeovers: 0,
            probe: false,
            tries: 0,
        };
        holdings.claimed(unit).unwrap()
    }

    fn id() -> QueueId {
        QueueId::generate(Shard::all().next().unwrap())
    }

    fn hop() -> NextHop {
        NextHop::Mx("far.example".to_owned())
    }

    #[test]
    fn workers_start_up_to_the_limit() {
        let (mut lanes, holdings) = (Lanes::new(LIMITS), Holdings::new(100, Arc::default()));
        let wakes: Vec<Wake> = (0..5)
            .map(|_| lanes.push(&hop(), held(&holdings, id(), 0)))
            .collect();
        assert_eq!(
            wakes,
            [
                Wake::Start,
                Wake::Start,
                Wake::Start,
                Wake::Nobody,
                Wake::Nobody
            ]
        );
    }

    #[test]
    fn units_of_one_message_go_out_together() {
        let (mut lanes, holdings) = (Lanes::new(LIMITS), Holdings::new(100, Arc::default()));
        let message = id();
        lanes.push(&hop(), held(&holdings, message, 0));
        lanes.push(&hop(), held(&holdings, message, 1));
        lanes.push(&hop(), held(&holdings, id(), 0));
        assert_eq!(lanes.take(&hop()).len(), 2);
        assert_eq!(lanes.take(&hop()).len(), 1);
        assert!(lanes.take(&hop()).is_empty());
    }

    #[test]
    fn a_worker_may_not_retire_from_work_that_arrived_meanwhile() {
        let (mut lanes, holdings) = (Lanes::new(LIMITS), Holdings::new(100, Arc::default()));
        lanes.push(&hop(), held(&holdings, id(), 0));
        assert!(!lanes.retire(&hop()));
        lanes.take(&hop());
        assert!(lanes.retire(&hop()));
        assert_eq!(lanes.push(&hop(), held(&holdings, id(), 0)), Wake::Start);
    }

    #[test]
    fn the_last_worker_that_is_turned_away_gets_everything_back() {
        let (mut lanes, holdings) = (Lanes::new(LIMITS), Holdings::new(100, Arc::default()));
        for _ in 0..4 {
            lanes.push(&hop(), held(&holdings, id(), 0));
        }
        for _ in 0..2 {
            let group = lanes.take(&hop());
            assert!(
                lanes.turned_away(&hop(), group).is_none(),
                "others are still at it"
            );
        }
        let group = lanes.take(&hop());
        assert_eq!(lanes.turned_away(&hop(), group).unwrap().len(), 4);
    }

    #[test]
    fn a_narrowed_lane_widens_as_connections_succeed() {
        let (mut lanes, holdings) = (Lanes::new(LIMITS), Holdings::new(100, Arc::default()));
        for _ in 0..3 {
            lanes.push(&hop(), held(&holdings, id(), 0));
        }
        lanes.connected(&hop());
        let group = lanes.take(&hop());
        assert!(lanes.turned_away(&hop(), group).is_none());
        let group = lanes.take(&hop());
        assert!(lanes.turned_away(&hop(), group).is_none());
        assert_eq!(
            lanes.push(&hop(), held(&holdings, id(), 0)),
            Wake::Nobody,
            "one connection is what they take"
        );
        lanes.disconnected(&hop());
        lanes.connected(&hop());
        assert_eq!(lanes.push(&hop(), held(&holdings, id(), 0)), Wake::Start);
    }

    #[test]
    fn a_unit_is_known_until_it_is_dropped() {
        let holdings = Holdings::new(1, Arc::default());
        let unit = held(&holdings, id(), 0);
        let name = unit.unit.lease.unit;
        assert!(holdings.knows(&name));
        assert_eq!(holdings.free(), 0);
        drop(unit);
        assert!(!holdings.knows(&name));
        assert_eq!(holdings.free(), 1);
    }
}
