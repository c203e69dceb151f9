//! The units that this incarnation holds in memory, and how many more it has room for.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use queue::{LeasedUnit, UnitId};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// A leased unit in memory. It counts as known, and takes its room, until dropped: when its
/// completion was answered, or when it is given up to whoever will find it in the database.
#[derive(Debug)]
pub(crate) struct HeldUnit {
    /// The unit.
    pub(crate) unit: LeasedUnit,
    /// Until it is settled.
    pub(crate) place: Place,
}

/// A unit's place among what is held; dropped when the unit is.
#[derive(Debug)]
pub(crate) struct Place {
    holdings: Holdings,
    unit: UnitId,
    /// Room of our own, or a producer's credit.
    _room: Box<dyn std::fmt::Debug + Send + Sync>,
}

/// All that is held. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Holdings {
    known: Arc<Mutex<HashSet<UnitId>>>,
    room: Arc<Semaphore>,
    most: usize,
    /// Wakes the poll when half of the room is free again.
    work: Arc<Notify>,
}

impl Holdings {
    /// Nothing held; room for `most` units that are claimed. `work` is woken when half of it is
    /// free again.
    pub(crate) fn new(most: usize, work: Arc<Notify>) -> Self {
        Self {
            known: Arc::default(),
            room: Arc::new(Semaphore::new(most)),
            most,
            work,
        }
    }

    /// How many further units may be claimed.
    pub(crate) fn free(&self) -> usize {
        self.room.available_permits()
    }

    /// Takes in a unit that was claimed. None if it is held already; then the one in memory stays.
    pub(crate) fn claimed(&self, unit: LeasedUnit) -> Option<HeldUnit> {
        // A claim asks for no more than is free, and adopted units are few: what exceeds the room
        // is taken all the same, since it is leased to us already.
        let room: Option<OwnedSemaphorePermit> = self.room.clone().try_acquire_owned().ok();
        self.take_in(unit, Box::new(room))
    }

    /// Takes in a unit that came with a credit, which it gives back when dropped.
    pub(crate) fn take_in(
        &self,
        unit: LeasedUnit,
        room: Box<dyn std::fmt::Debug + Send + Sync>,
    ) -> Option<HeldUnit> {
        let id = unit.lease.unit;
        let is_new = self.known().insert(id);
        is_new.then(|| HeldUnit {
            unit,
            place: Place {
                holdings: self.clone(),
                unit: id,
                _room: room,
            },
        })
    }

    /// Whether a unit is held.
    pub(crate) fn knows(&self, unit: &UnitId) -> bool {
        self.known().contains(unit)
    }

    fn known(&self) -> MutexGuard<'_, HashSet<UnitId>> {
        // No code panics while it holds this lock, and a set is whole after any insert or remove.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.holdings.known().remove(&self.unit);
        if self.holdings.free() + 1 == self.holdings.most / 2 {
            self.holdings.work.notify_one();
        }
    }
}
