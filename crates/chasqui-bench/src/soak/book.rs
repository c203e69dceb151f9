//! What clients know of their mail: the only word that counts for what was accepted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Nothing is being done to the fleet: after a fault, and before the next.
pub(super) const CALM: &str = "in between";

/// A book that all clients write into.
#[derive(Debug, Clone, Default)]
pub(super) struct Book(Arc<Mutex<Entries>>);

/// What is written in it.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// Whom the fleet has taken each message for: it said 250 after the final dot.
    pub(super) accepted: BTreeMap<u64, &'static [&'static str]>,
    /// What clients heard instead, and how often, by what was being done to the fleet.
    pub(super) heard: BTreeMap<(&'static str, String), usize>,
    /// Superfluous copies at the far end, by what was being done when they came.
    pub(super) superfluous: BTreeMap<&'static str, usize>,
    /// The longest time that any client went from one 250 to its next, and what was done meanwhile.
    pub(super) longest: (Duration, &'static str),
    /// When each client was last told 250.
    pub(super) last: Vec<Instant>,
    /// What is being done to the fleet.
    now: &'static str,
}

impl Book {
    /// For so many clients, which begin now.
    pub(super) fn begin(&self, clients: usize) {
        self.lock().last = vec![Instant::now(); clients];
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This is done to the fleet from now on.
    pub(super) fn turn_to(&self, what: &'static str) {
        self.lock().now = what;
    }

    /// 250 after the final dot.
    pub(super) fn accepted(&self, client: usize, tag: u64, recipients: &'static [&'static str]) {
        let mut entries = self.lock();
        entries.accepted.insert(tag, recipients);
        entries.is_content(client);
    }

    /// Anything else.
    pub(super) fn heard(&self, what: String) {
        let mut entries = self.lock();
        let key = (entries.now, what);
        *entries.heard.entry(key).or_default() += 1;
    }

    /// The far end has had a message before.
    pub(super) fn superfluous(&self) {
        let mut entries = self.lock();
        let now = entries.now;
        *entries.superfluous.entry(now).or_default() += 1;
    }

    /// Whether all clients have been told 250 since then.
    pub(super) fn all_content_since(&self, since: Instant) -> bool {
        self.lock().last.iter().all(|last| *last > since)
    }

    /// Counts what clients that have come to an end were still waiting for.
    pub(super) fn close(&self) {
        let mut entries = self.lock();
        for client in 0..entries.last.len() {
            entries.is_content(client);
        }
    }
}

impl Entries {
    fn is_content(&mut self, client: usize) {
        let now = Instant::now();
        let during = self.now;
        if let Some(last) = self.last.get_mut(client) {
            let outage = now - *last;
            *last = now;
            if outage > self.longest.0 {
                self.longest = (outage, during);
            }
        }
    }
}
