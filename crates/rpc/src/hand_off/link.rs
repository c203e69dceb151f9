//! A relay as a producer sees it, for as long as their stream lasts.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use queue::{DestinationKey, IncarnationId, Shard};

use super::load::Load;
use super::outbox::Outbox;
use super::suspensions::MAX_TOLD;
use super::wire::destination_from;
use crate::proto::relay as proto;

/// A tenant that fills the hand-off leaves this part of the credit to others.
const RESERVE_PART: u64 = 4;

/// One relay, as long as the stream to it is alive.
pub(super) struct Link {
    holder: IncarnationId,
    balance: Mutex<Balance>,
    outbox: Outbox,
    suspensions: KnownSuspensions,
}

/// The credit that is left.
#[derive(Default)]
struct Balance {
    credit: Load,
    /// What the credit came to at its best of late.
    peak: Load,
}

impl Link {
    pub(super) fn new(holder: IncarnationId, outbox: Outbox) -> Self {
        Self {
            holder,
            balance: Mutex::default(),
            outbox,
            suspensions: KnownSuspensions::default(),
        }
    }

    pub(super) fn holder(&self) -> IncarnationId {
        self.holder
    }

    /// The relay has granted more.
    pub(super) fn add_credit(&self, load: Load) {
        let mut balance = self.balance();
        balance.credit += load;
        balance.peak = balance.peak.scaled(7, 8).max(balance.credit);
    }

    /// Takes credit if there is enough. One who fills the hand-off finds less.
    pub(super) fn take_credit(&self, load: Load, is_filling: bool) -> bool {
        let mut balance = self.balance();
        let Some(rest) = balance.credit.checked_sub(load) else {
            return false;
        };
        // A load without content leaves the octets as they are, however few they be.
        let reserve = balance.peak.scaled(u64::from(is_filling), RESERVE_PART);
        if rest.units < reserve.units || (load.bytes > 0 && rest.bytes < reserve.bytes) {
            return false;
        }
        balance.credit = rest;
        true
    }

    /// Gives credit back that was not used after all.
    pub(super) fn return_credit(&self, load: Load) {
        self.balance().credit += load;
    }

    /// Queues a message that credit was taken for; false if it had to be dropped.
    pub(super) fn send(&self, message: proto::Message) -> bool {
        self.outbox.push(message)
    }

    pub(super) fn hint(&self, shard: Shard) {
        self.outbox.hint(shard);
    }

    pub(super) fn suspensions(&self) -> &KnownSuspensions {
        &self.suspensions
    }

    fn balance(&self) -> MutexGuard<'_, Balance> {
        self.balance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The suspended destinations that the relay has told.
#[derive(Default)]
pub(super) struct KnownSuspensions {
    known: RwLock<HashSet<DestinationKey>>,
}

impl KnownSuspensions {
    pub(super) fn contains(&self, destination: &DestinationKey) -> bool {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(destination)
    }

    pub(super) fn apply(&self, change: proto::Suspensions) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if change.reset {
            known.clear();
        }
        for destination in change.reopened {
            known.remove(&destination_from(destination));
        }
        for destination in change.suspended {
            if known.len() < MAX_TOLD {
                known.insert(destination_from(destination));
            }
        }
    }
}

/// The links of a producer: all relays that it has a stream to.
#[derive(Default)]
pub(super) struct Links {
    all: RwLock<Arc<[Arc<Link>]>>,
}

impl Links {
    pub(super) fn all(&self) -> Arc<[Arc<Link>]> {
        Arc::clone(&self.all.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a link that is removed when the guard is dropped.
    pub(super) fn add(self: &Arc<Self>, link: Link) -> LinkGuard {
        let link = Arc::new(link);
        self.change(|links| links.push(Arc::clone(&link)));
        LinkGuard {
            links: Arc::clone(self),
            link,
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Link>>)) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let mut links = all.to_vec();
        change(&mut links);
        *all = links.into();
    }
}

/// Keeps a link among its producer's [`Links`].
pub(super) struct LinkGuard {
    links: Arc<Links>,
    link: Arc<Link>,
}

impl std::ops::Deref for LinkGuard {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.link
    }
}

impl Drop for LinkGuard {
    fn drop(&mut self) {
        self.links
            .change(|links| links.retain(|link| !Arc::ptr_eq(link, &self.link)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::outbox::outbox;
    use super::*;

    fn link() -> Link {
        Link::new(IncarnationId(1), outbox().0)
    }

    #[test]
    fn credit_is_taken_once() {
        let link = link();
        link.add_credit(Load::new(2, 100));
        assert!(!link.take_credit(Load::new(1, 101), false));
        assert!(link.take_credit(Load::new(1, 60), false));
        assert!(!link.take_credit(Load::new(1, 60), false));
        assert!(link.take_credit(Load::new(1, 40), false));
        assert!(!link.take_credit(Load::new(1, 0), false));
        link.return_credit(Load::new(1, 0));
        assert!(link.take_credit(Load::new(1, 0), false));
    }

    #[test]
    fn one_who_fills_the_hand_off_leaves_a_reserve_to_others() {
        let link = link();
        link.add_credit(Load::new(8, 800));
        for _ in 0..6 {
            assert!(link.take_credit(Load::new(1, 100), true));
        }
        assert!(!link.take_credit(Load::new(1, 100), true));
        assert!(link.take_credit(Load::new(1, 100), false));
    }

    #[test]
    fn a_link_is_there_as_long_as_its_guard() {
        let links = Arc::new(Links::default());
        let guard = links.add(link());
        assert_eq!(links.all().len(), 1);
        drop(guard);
        assert_eq!(links.all().len(), 0);
    }
}
