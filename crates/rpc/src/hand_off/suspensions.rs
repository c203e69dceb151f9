//! What the relay tells producers about suspended destinations.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use queue::DestinationKey;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{self, Receiver, Sender};

use super::wire::destination_of;
use crate::proto::relay as proto;

/// Most suspended destinations that are told; mail to others is merely leased in vain.
pub(super) const MAX_TOLD: usize = 65_536;
/// Changes that a stream may lag behind before it starts over with all of them.
const BACKLOG: usize = 1_024;
/// Most destinations in one frame: 300 octets each at most.
const FRAME: usize = 1_024;

#[derive(Clone)]
enum Change {
    Suspended(DestinationKey),
    Reopened(DestinationKey),
}

/// The suspended destinations as the relay knows them.
pub(super) struct Suspensions {
    known: Mutex<HashSet<DestinationKey>>,
    changes: Sender<Change>,
}

impl Suspensions {
    pub(super) fn new() -> Self {
        Self {
            known: Mutex::default(),
            changes: broadcast::channel(BACKLOG).0,
        }
    }

    pub(super) fn contains(&self, destination: &DestinationKey) -> bool {
        self.known().contains(destination)
    }

    pub(super) fn suspend(&self, destination: DestinationKey) {
        let mut known = self.known();
        if known.len() < MAX_TOLD && known.insert(destination.clone()) {
            self.tell(Change::Suspended(destination));
        }
    }

    pub(super) fn reopen(&self, destination: &DestinationKey) {
        let mut known = self.known();
        if let Some(destination) = known.take(destination) {
            self.tell(Change::Reopened(destination));
        }
    }

    /// Makes these the suspended ones.
    pub(super) fn replace(&self, suspended: impl IntoIterator<Item = DestinationKey>) {
        let suspended: HashSet<_> = suspended.into_iter().take(MAX_TOLD).collect();
        let mut known = self.known();
        for reopened in known.difference(&suspended) {
            self.tell(Change::Reopened(reopened.clone()));
        }
        for added in suspended.difference(&known) {
            self.tell(Change::Suspended(added.clone()));
        }
        *known = suspended;
    }

    /// What a new stream is told: all that is suspended, then every change.
    pub(super) fn subscribe(&self) -> Subscription<'_> {
        let (all, changes) = self.snapshot();
        Subscription {
            suspensions: self,
            pending: all,
            is_reset: false,
            changes,
        }
    }

    /// All that is suspended, and the changes from that moment on.
    fn snapshot(&self) -> (Vec<DestinationKey>, Receiver<Change>) {
        let known = self.known();
        (known.iter().cloned().collect(), self.changes.subscribe())
    }

    fn tell(&self, change: Change) {
        // Nobody listens: then there is nobody to be told.
        let _ = self.changes.send(change);
    }

    fn known(&self) -> MutexGuard<'_, HashSet<DestinationKey>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream's view.
pub(super) struct Subscription<'a> {
    suspensions: &'a Suspensions,
    /// Still to be told, of the snapshot.
    pending: Vec<DestinationKey>,
    is_reset: bool,
    changes: Receiver<Change>,
}

impl Subscription<'_> {
    /// The next frame; waits until there is something to tell. Cancelling loses nothing.
    pub(super) async fn next(&mut self) -> proto::Suspensions {
        if let Some(frame) = self.next_of_snapshot() {
            return frame;
        }
        let first = self.changes.recv().await;
        let mut frame = proto::Suspensions::default();
        match first {
            Ok(change) => add(&mut frame, change),
            Err(RecvError::Lagged(_)) => return self.start_over(),
            // Never: the sender lives as long as we do.
            Err(RecvError::Closed) => std::future::pending().await,
        }
        for _ in 1..FRAME {
            match self.changes.try_recv() {
                Ok(change) => add(&mut frame, change),
                Err(TryRecvError::Lagged(_)) => return self.start_over(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        frame
    }

    fn next_of_snapshot(&mut self) -> Option<proto::Suspensions> {
        let from = self.pending.len().saturating_sub(FRAME);
        let reset = std::mem::take(&mut self.is_reset);
        let told = self.pending.split_off(from);
        (reset || !told.is_empty()).then(|| proto::Suspensions {
            reset,
            suspended: told.iter().map(destination_of).collect(),
            reopened: Vec::new(),
        })
    }

    fn start_over(&mut self) -> proto::Suspensions {
        (self.pending, self.changes) = self.suspensions.snapshot();
        self.is_reset = true;
        self.next_of_snapshot().unwrap_or_default()
    }
}

/// A destination that changed twice within a frame is told as it is in the end.
fn add(frame: &mut proto::Suspensions, change: Change) {
    match change {
        Change::Suspended(destination) => {
            let destination = destination_of(&destination);
            frame.reopened.retain(|reopened| *reopened != destination);
            frame.suspended.push(destination);
        }
        Change::Reopened(destination) => {
            let destination = destination_of(&destination);
            frame
                .suspended
                .retain(|suspended| *suspended != destination);
            frame.reopened.push(destination);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use queue::Tenant;

    use super::super::link::KnownSuspensions;
    use super::*;

    fn key(number: usize) -> DestinationKey {
        DestinationKey {
            tenant: Tenant(1),
            domain: format!("d{number}.example"),
        }
    }

    /// What a producer knows after it has read all that it is told.
    async fn read(subscription: &mut Subscription<'_>, known: &KnownSuspensions) {
        let quiet = std::time::Duration::ZERO;
        while let Ok(frame) = tokio::time::timeout(quiet, subscription.next()).await {
            known.apply(frame);
        }
    }

    #[tokio::test]
    async fn a_stream_learns_what_is_suspended_and_what_changes() {
        let suspensions = Suspensions::new();
        suspensions.suspend(key(1));
        let (mut subscription, known) = (suspensions.subscribe(), KnownSuspensions::default());
        read(&mut subscription, &known).await;
        assert!(known.contains(&key(1)));
        suspensions.replace([key(2), key(3)]);
        suspensions.reopen(&key(3));
        suspensions.suspend(key(3));
        read(&mut subscription, &known).await;
        assert!(!known.contains(&key(1)) && known.contains(&key(2)) && known.contains(&key(3)));
        suspensions.reopen(&key(2));
        read(&mut subscription, &known).await;
        assert!(!known.contains(&key(2)));
    }

    #[tokio::test]
    async fn a_stream_that_lags_starts_over() {
        let suspensions = Suspensions::new();
        let (mut subscription, known) = (suspensions.subscribe(), KnownSuspensions::default());
        suspensions.suspend(key(0));
        read(&mut subscription, &known).await;
        suspensions.reopen(&key(0));
        for number in 1..=3 * BACKLOG {
            suspensions.suspend(key(number));
        }
        read(&mut subscription, &known).await;
        assert!(!known.contains(&key(0)));
        assert!((1..=3 * BACKLOG).all(|number| known.contains(&key(number))));
    }
}
