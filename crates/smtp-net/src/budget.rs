//! Memory for content: a budget of octets for the whole process, with a cap per client.
//!
//! Invariant: content is in memory only while a [`Reservation`] covers it.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::address_group::AddressGroup;

/// How long growth waits for others to give memory back, unless told otherwise.
const GROWTH_WAIT: Duration = Duration::from_secs(5);

/// The memory cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OverBudget {
    /// The client holds as much as one client may.
    #[error("the client's share of the memory for content is used up")]
    Client,
    /// The process holds as much as it may.
    #[error("the memory for content is used up")]
    Process,
}

/// Octets of content that may be in memory at once. Clones share them.
///
/// Acceptance and delivery attempts each take a budget of their own, so that neither half-received
/// mail nor slow destinations starve the other.
#[derive(Clone)]
pub struct Budget(Arc<Pool>);

struct Pool {
    total: usize,
    free: Semaphore,
    per_client: usize,
    growth_wait: Duration,
    clients: Mutex<HashMap<AddressGroup, Weak<Share>>>,
}

impl Budget {
    /// A budget of `total` octets, of which one client may hold `per_client`.
    #[must_use]
    pub fn new(total: usize, per_client: usize) -> Self {
        let total = total.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Pool {
            total,
            free: Semaphore::new(total),
            per_client: per_client.min(total),
            growth_wait: GROWTH_WAIT,
            clients: Mutex::default(),
        }))
    }

    /// The same limits with another wait for memory than 5 s. For a budget that is not yet in use.
    #[must_use]
    pub fn with_growth_wait(self, growth_wait: Duration) -> Self {
        Self(Arc::new(Pool {
            total: self.0.total,
            free: Semaphore::new(self.0.total),
            per_client: self.0.per_client,
            growth_wait,
            clients: Mutex::default(),
        }))
    }

    /// Octets in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.total
    }

    /// Octets that are free now.
    #[must_use]
    pub fn available(&self) -> usize {
        self.0.free.available_permits()
    }

    /// Takes memory that no client's cap applies to; waits for it up to 5 s.
    ///
    /// # Errors
    /// [`OverBudget::Process`].
    pub async fn reserve(&self, octets: usize) -> Result<Reservation, OverBudget> {
        let mut reservation = self.nothing();
        reservation.grow(octets).await?;
        Ok(reservation)
    }

    /// Takes memory that no client's cap applies to, if it is free now.
    #[must_use]
    pub fn try_reserve(&self, octets: usize) -> Option<Reservation> {
        let mut reservation = self.nothing();
        reservation.try_grow(octets).ok()?;
        Some(reservation)
    }

    fn nothing(&self) -> Reservation {
        Reservation::none_of(&Arc::new(Share {
            pool: Arc::clone(&self.0),
            cap: None,
        }))
    }

    /// What the client at an address may hold. All its connections have the same share.
    pub(crate) fn share(&self, client: IpAddr) -> Arc<Share> {
        let group = AddressGroup::of(client);
        let mut clients = self.0.clients();
        if let Some(share) = clients.get(&group).and_then(Weak::upgrade) {
            return share;
        }
        let share = Arc::new(Share {
            pool: Arc::clone(&self.0),
            cap: Some((group, Semaphore::new(self.0.per_client))),
        });
        clients.insert(group, Arc::downgrade(&share));
        share
    }
}

impl Pool {
    fn clients(&self) -> std::sync::MutexGuard<'_, HashMap<AddressGroup, Weak<Share>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("total", &self.total())
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}

/// One client's part of a budget; it lasts as long as anything of it is held.
pub(crate) struct Share {
    pool: Arc<Pool>,
    /// Whose share this is, and what is left of the cap.
    cap: Option<(AddressGroup, Semaphore)>,
}

impl Share {
    fn try_take(&self, octets: u32) -> Result<(), OverBudget> {
        if let Some((_, cap)) = &self.cap {
            take_now(cap, octets).ok_or(OverBudget::Client)?;
        }
        let taken = take_now(&self.pool.free, octets);
        if taken.is_none() {
            self.return_to_cap(octets as usize);
        }
        taken.ok_or(OverBudget::Process)
    }

    async fn take(&self, octets: u32) -> Result<(), OverBudget> {
        if self.try_take(octets).is_ok() {
            return Ok(());
        }
        // Waiting for what can never come would only make the client wait too.
        let wanted = octets as usize;
        if wanted > self.pool.total {
            return Err(OverBudget::Process);
        }
        if self.cap.is_some() && wanted > self.pool.per_client {
            return Err(OverBudget::Client);
        }
        let until = tokio::time::Instant::now() + self.pool.growth_wait;
        let of_client = match &self.cap {
            Some((_, cap)) => tokio::time::timeout_at(until, cap.acquire_many(octets))
                .await
                .map_or(Err(OverBudget::Client), |permit| Ok(permit.ok()))?,
            None => None,
        };
        let of_pool = tokio::time::timeout_at(until, self.pool.free.acquire_many(octets))
            .await
            .map_or(Err(OverBudget::Process), |permit| Ok(permit.ok()))?;
        for permit in [of_client, of_pool].into_iter().flatten() {
            permit.forget();
        }
        Ok(())
    }

    fn give_back(&self, octets: usize) {
        self.pool.free.add_permits(octets);
        self.return_to_cap(octets);
    }

    fn return_to_cap(&self, octets: usize) {
        if let Some((_, cap)) = &self.cap {
            cap.add_permits(octets);
        }
    }
}

/// Takes permits off a semaphore, if they are free now. Ours are never closed.
fn take_now(semaphore: &Semaphore, permits: u32) -> Option<()> {
    semaphore
        .try_acquire_many(permits)
        .map(tokio::sync::SemaphorePermit::forget)
        .ok()
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some((group, _)) = &self.cap {
            let mut clients = self.pool.clients();
            // Another share may have taken this one's place meanwhile.
            if clients
                .get(group)
                .is_some_and(|share| share.strong_count() == 0)
            {
                clients.remove(group);
            }
        }
    }
}

/// Octets taken from a [`Budget`], given back when dropped.
pub struct Reservation {
    share: Arc<Share>,
    octets: usize,
}

impl Reservation {
    pub(crate) fn none_of(share: &Arc<Share>) -> Self {
        Self {
            share: Arc::clone(share),
            octets: 0,
        }
    }

    /// The octets held.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// Takes more; waits for it up to 5 s.
    ///
    /// # Errors
    /// Any [`OverBudget`]; what is held already stays held.
    pub async fn grow(&mut self, octets: usize) -> Result<(), OverBudget> {
        let permits = u32::try_from(octets).map_err(|_| OverBudget::Process)?;
        self.share.take(permits).await?;
        self.octets += octets;
        Ok(())
    }

    /// Takes more, if it is free now.
    ///
    /// # Errors
    /// Any [`OverBudget`]; what is held already stays held.
    pub fn try_grow(&mut self, octets: usize) -> Result<(), OverBudget> {
        let permits = u32::try_from(octets).map_err(|_| OverBudget::Process)?;
        self.share.try_take(permits)?;
        self.octets += octets;
        Ok(())
    }

    /// Binds the reservation to bytes: it is given back when their last clone or slice is dropped.
    #[must_use]
    pub fn attach(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Accounted {
            bytes,
            _reservation: self,
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.share.give_back(self.octets);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("octets", &self.octets)
            .finish_non_exhaustive()
    }
}

/// Bytes that give back their reservation in the end.
struct Accounted {
    bytes: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Accounted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const NEIGHBOUR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn impatient(total: usize, per_client: usize) -> Budget {
        Budget::new(total, per_client).with_growth_wait(Duration::from_millis(1))
    }

    fn of(budget: &Budget, client: IpAddr) -> Reservation {
        Reservation::none_of(&budget.share(client))
    }

    #[tokio::test]
    async fn what_is_dropped_is_free_again() {
        let budget = impatient(100, 100);
        let held = budget.reserve(80).await.unwrap();
        assert_eq!(budget.available(), 20);
        assert_eq!(budget.reserve(30).await.unwrap_err(), OverBudget::Process);
        drop(held);
        assert_eq!(budget.available(), 100);
    }

    #[tokio::test]
    async fn one_client_cannot_take_all_of_it() {
        let budget = impatient(100, 60);
        let mut first = of(&budget, CLIENT);
        let mut second = of(&budget, CLIENT);
        let mut other = of(&budget, NEIGHBOUR);
        first.grow(50).await.unwrap();
        assert_eq!(second.grow(20).await, Err(OverBudget::Client));
        other.grow(50).await.unwrap();
        assert_eq!(second.grow(10).await, Err(OverBudget::Process));
        drop(other);
        second.grow(10).await.unwrap();
        assert_eq!(budget.available(), 40);
    }

    #[tokio::test]
    async fn a_client_that_comes_back_finds_its_share_as_it_left_it() {
        let budget = impatient(100, 60);
        let mut held = of(&budget, CLIENT);
        held.grow(60).await.unwrap();
        assert_eq!(of(&budget, CLIENT).grow(1).await, Err(OverBudget::Client));
        drop(held);
        assert!(budget.0.clients().is_empty(), "nothing is remembered");
    }

    #[tokio::test]
    async fn growth_waits_for_what_another_gives_back() {
        let budget = Budget::new(100, 100).with_growth_wait(Duration::from_secs(60));
        let held = budget.reserve(100).await.unwrap();
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(40).await.map(|r| r.octets()) }
        });
        tokio::task::yield_now().await;
        drop(held);
        assert_eq!(waiting.await.unwrap(), Ok(40));
    }

    #[tokio::test]
    async fn attached_bytes_hold_their_reservation_to_the_last_slice() {
        let budget = impatient(100, 100);
        let bytes = budget
            .reserve(5)
            .await
            .unwrap()
            .attach(Bytes::from_static(b"hello"));
        let slice = bytes.slice(1..3);
        drop(bytes);
        assert_eq!((&slice[..], budget.available()), (&b"el"[..], 95));
        drop(slice);
        assert_eq!(budget.available(), 100);
    }
}
