//! The relay's side: who takes mail in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use queue::{DestinationKey, IncarnationId, LeasedUnit, Shard};
use tokio::sync::watch;

use super::INLINE_LIMIT;
use super::load::Load;
use super::metrics;
use super::pool::{Hold, Permit, Pool};
use super::session;
use super::suspensions::Suspensions;
use crate::server::GrpcService;

/// Least capacity: below that, shares of it would be too small for one message.
const MIN_CAPACITY: Load = Load::new(64, 16 * INLINE_LIMIT);

/// Where handed-off mail goes: the relay's scheduler.
///
/// Both methods are called from network tasks and must not block. They need not refuse: credits
/// bound what arrives.
pub trait HandOffSink: Send + Sync + 'static {
    /// Units leased to this relay, in the order in which they were sent.
    fn receive(&self, units: Vec<HandedOff>);

    /// A shard has got mail without a lease. A poll would find it as well.
    fn hint(&self, shard: Shard);
}

/// A unit that was handed off.
#[derive(Clone, Debug)]
pub struct HandedOff {
    /// The unit; without content if that is larger than [`INLINE_LIMIT`].
    pub unit: LeasedUnit,
    /// The room that it takes: to be kept for as long as the unit or its content is at hand.
    pub permit: Permit,
}

/// A relay's end of all hand-off streams. Clones are the same end.
#[derive(Clone)]
pub struct RelayHandOff {
    relay: Arc<Relay>,
}

/// Counts since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayHandOffStatistics {
    /// Units that arrived.
    pub received: u64,
    /// Messages that made no sense and were left to the sweep.
    pub malformed: u64,
    /// Units at hand now.
    pub units_held: u64,
    /// Octets of content at hand now.
    pub bytes_held: u64,
}

pub(super) struct Relay {
    pub(super) incarnation: watch::Sender<Option<IncarnationId>>,
    pub(super) pool: Pool,
    pub(super) suspensions: Suspensions,
    sink: Box<dyn HandOffSink>,
    received: AtomicU64,
    malformed: AtomicU64,
}

impl RelayHandOff {
    /// Takes in at most `capacity` at a time (at least 64 units and 16 MiB), from all producers
    /// together. Nobody is let in before [`RelayHandOff::open`].
    #[must_use]
    pub fn new(capacity: Load, sink: impl HandOffSink) -> Self {
        let hand_off = Self {
            relay: Arc::new(Relay {
                incarnation: watch::Sender::new(None),
                pool: Pool::new(capacity.max(MIN_CAPACITY)),
                suspensions: Suspensions::new(),
                sink: Box::new(sink),
                received: AtomicU64::new(0),
                malformed: AtomicU64::new(0),
            }),
        };
        metrics::observe_relay(&hand_off);
        hand_off
    }

    /// Lets producers in, who lease to this incarnation. Streams and credits of an earlier one
    /// end.
    pub fn open(&self, incarnation: IncarnationId) {
        self.relay.incarnation.send_if_modified(|current| {
            let is_new = *current != Some(incarnation);
            *current = Some(incarnation);
            is_new
        });
    }

    /// Ends all streams and lets nobody in: the relay shuts down, or has been pronounced dead.
    pub fn close(&self) {
        self.relay
            .incarnation
            .send_if_modified(|current| current.take().is_some());
    }

    /// Tells all producers to commit mail to that destination without a lease.
    pub fn suspend(&self, destination: DestinationKey) {
        self.relay.suspensions.suspend(destination);
    }

    /// Tells all producers that the destination takes mail again.
    pub fn reopen(&self, destination: &DestinationKey) {
        self.relay.suspensions.reopen(destination);
    }

    /// Makes these the suspended destinations, and tells what has changed.
    pub fn set_suspended(&self, destinations: impl IntoIterator<Item = DestinationKey>) {
        self.relay.suspensions.replace(destinations);
    }

    /// The gRPC service that producers connect to: for [`crate::GrpcServer::with`].
    pub fn service(&self) -> GrpcService {
        session::service(Arc::clone(&self.relay))
    }

    /// What has happened so far, and what is at hand.
    #[must_use]
    pub fn statistics(&self) -> RelayHandOffStatistics {
        let held = self.relay.pool.held();
        RelayHandOffStatistics {
            received: self.relay.received.load(Ordering::Relaxed),
            malformed: self.relay.malformed.load(Ordering::Relaxed),
            units_held: held.units,
            bytes_held: held.bytes,
        }
    }

    pub(super) fn relay(&self) -> &Arc<Relay> {
        &self.relay
    }
}

impl Relay {
    /// The incarnation that is leased to now.
    pub(super) fn incarnation(&self) -> Option<IncarnationId> {
        *self.incarnation.borrow()
    }

    /// Passes units of one message on, which share their room.
    pub(super) fn handed_off(
        units: Vec<LeasedUnit>,
        hold: Hold,
    ) -> impl Iterator<Item = HandedOff> {
        let permit = Permit::new(hold);
        units.into_iter().map(move |unit| HandedOff {
            unit,
            permit: permit.clone(),
        })
    }

    pub(super) fn pass_on(&self, units: Vec<HandedOff>) {
        if !units.is_empty() {
            self.received
                .fetch_add(units.len() as u64, Ordering::Relaxed);
            self.sink.receive(units);
        }
    }

    pub(super) fn hint(&self, shard: Shard) {
        self.sink.hint(shard);
    }

    pub(super) fn note_malformed(&self) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
    }
}
