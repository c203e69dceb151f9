//! Who is dead: a state machine without I/O and without a clock.

use std::collections::HashMap;
use std::time::Duration;

use crate::ids::IncarnationId;

/// What an observer goes by.
#[derive(Clone, Copy, Debug)]
pub struct ObserverConfig {
    /// An incarnation whose counter stands still for so long is dead.
    pub ttl: Duration,
    /// Two observations further apart than this are not taken together: nobody knows what
    /// happened in between. Well below the TTL, well above the normal spacing.
    pub longest_gap: Duration,
}

/// An incarnation whose heartbeat stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Which one.
    pub incarnation: IncarnationId,
    /// Where its counter stands: it is pronounced dead only if it still stands there.
    pub heartbeat: i64,
}

/// Watches heartbeat counters on a clock of its own.
///
/// It trusts what it sees only while it gets through to the database itself, at normal spacing.
/// After an outage everybody's counter has stood still, so that all observations start anew and
/// nobody is robbed.
#[derive(Debug)]
pub struct Observer {
    config: ObserverConfig,
    /// When the last good observation was made.
    last: Option<Duration>,
    seen: HashMap<IncarnationId, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    heartbeat: i64,
    /// When the counter was first seen where it stands.
    since: Duration,
}

impl Observer {
    /// Knows nobody yet.
    #[must_use]
    pub fn new(config: ObserverConfig) -> Self {
        Self {
            config,
            last: None,
            seen: HashMap::new(),
        }
    }

    /// Takes a snapshot of all other live incarnations' counters, read right after a successful
    /// heartbeat of one's own. `now` comes from any monotonic clock. Returns those that stand
    /// still for the TTL, again at each observation until they are gone from the snapshot.
    pub fn observe(
        &mut self,
        now: Duration,
        counters: impl IntoIterator<Item = (IncarnationId, i64)>,
    ) -> Vec<Stopped> {
        let gap = self.last.map(|last| now.saturating_sub(last));
        if gap.is_some_and(|gap| gap > self.config.longest_gap) {
            self.disturbed();
        }
        self.last = Some(now);
        let before = std::mem::take(&mut self.seen);
        let mut stopped = Vec::new();
        for (incarnation, heartbeat) in counters {
            let since = match before.get(&incarnation) {
                Some(seen) if seen.heartbeat == heartbeat => seen.since,
                _ => now,
            };
            self.seen.insert(incarnation, Seen { heartbeat, since });
            if now.saturating_sub(since) >= self.config.ttl {
                stopped.push(Stopped {
                    incarnation,
                    heartbeat,
                });
            }
        }
        stopped
    }

    /// Forgets all observations: one's own heartbeat or reading failed.
    pub fn disturbed(&mut self) {
        self.last = None;
        self.seen.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IncarnationId = IncarnationId(1);
    const B: IncarnationId = IncarnationId(2);

    fn observer() -> Observer {
        Observer::new(ObserverConfig {
            ttl: Duration::from_secs(10),
            longest_gap: Duration::from_secs(3),
        })
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Observes every second; tells when A was first found dead.
    fn found_dead(
        observer: &mut Observer,
        seconds: std::ops::Range<u64>,
        counter: impl Fn(u64) -> i64,
    ) -> Option<u64> {
        seconds.into_iter().find(|second| {
            let counters = [
                (A, counter(*second)),
                (B, i64::try_from(*second).unwrap_or(0)),
            ];
            let stopped = observer.observe(at(*second), counters);
            assert!(stopped.iter().all(|stopped| stopped.incarnation == A));
            !stopped.is_empty()
        })
    }

    #[test]
    fn a_moving_counter_lives() {
        assert_eq!(
            found_dead(&mut observer(), 0..100, |second| (second / 9) as i64),
            None
        );
    }

    #[test]
    fn a_counter_that_stands_still_for_the_ttl_is_dead() {
        assert_eq!(
            found_dead(&mut observer(), 0..100, |second| second.min(5) as i64),
            Some(15)
        );
    }

    #[test]
    fn a_counter_that_goes_back_lives_too() {
        assert_eq!(
            found_dead(&mut observer(), 0..15, |second| if second < 8 {
                50
            } else {
                3
            }),
            None
        );
    }

    #[test]
    fn an_outage_restarts_all_observations() {
        let mut observer = observer();
        assert_eq!(found_dead(&mut observer, 0..9, |_| 7), None);
        // The database is away for a minute; then nobody has beaten yet.
        assert_eq!(found_dead(&mut observer, 69..78, |_| 7), None);
        assert_eq!(found_dead(&mut observer, 78..100, |_| 7), Some(79));
    }

    #[test]
    fn a_failure_of_ones_own_restarts_all_observations() {
        let mut observer = observer();
        assert_eq!(found_dead(&mut observer, 0..9, |_| 7), None);
        observer.disturbed();
        assert_eq!(found_dead(&mut observer, 9..19, |_| 7), None);
        assert_eq!(found_dead(&mut observer, 19..30, |_| 7), Some(19));
    }

    #[test]
    fn who_has_gone_is_forgotten() {
        let mut observer = observer();
        assert!(observer.observe(at(0), [(A, 1)]).is_empty());
        for second in 1..20 {
            assert!(observer.observe(at(second), []).is_empty());
        }
        assert!(observer.observe(at(20), [(A, 1)]).is_empty());
    }
}
