//! Low-water marks: where the live part of an index begins.
//!
//! What a queue has handed out stays in its indexes until vacuum comes round, and an old snapshot
//! anywhere in the cluster keeps vacuum from doing so for as long as it lasts. Whoever scans from
//! the head then visits all that was ever handed out, at every scan. So each scan starts where the
//! last one ended, less a margin for transactions that were slow to commit; and since marks are
//! but a hint, now and then a scan starts from the very head.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::ids::DestinationKey;

/// How far a mark stays behind the database's clock: longer than any statement may take, so that
/// whatever was stamped before and committed later still lies above it.
const MARGIN: Duration = Duration::from_secs(30);

/// How often a scan starts from the head all the same, for what a lock hid from the others.
const RECHECK: Duration = Duration::from_secs(120);

/// Most destinations that marks are kept for, in one shard.
const MOST_DESTINATIONS: usize = 1000;

/// Most marks that a scan is told of: each costs it a look, even if nothing is behind it.
const MOST_MARKS: usize = 64;

/// So many dead entries are worth a mark.
const WORTHWHILE: u64 = 500;

/// The mark of one index.
#[derive(Debug, Default)]
pub(crate) struct LowWater {
    mark: Option<OffsetDateTime>,
    checked: Option<Instant>,
}

impl LowWater {
    /// Where to start scanning.
    pub(crate) fn current(&mut self, now: Instant) -> OffsetDateTime {
        if is_due(&mut self.checked, now) {
            return BEGINNING;
        }
        self.mark.unwrap_or(BEGINNING)
    }

    /// Notes that nothing live is stamped before `stamp`, as of `at` on the database's clock.
    pub(crate) fn raise(&mut self, stamp: OffsetDateTime, at: OffsetDateTime) {
        self.mark = Some(stamp.min(at - MARGIN));
    }
}

/// The marks of the stretches of one index, by destination.
#[derive(Debug, Default)]
pub(crate) struct DestinationMarks {
    marks: HashMap<DestinationKey, Stretch>,
    checked: Option<Instant>,
}

/// What was handed out at the front of a destination's stretch.
#[derive(Debug)]
struct Stretch {
    mark: OffsetDateTime,
    dead: u64,
}

impl DestinationMarks {
    /// Where to start scanning the destinations with the most dead entries; those not named are
    /// scanned from their head.
    pub(crate) fn current(&mut self, now: Instant) -> Vec<(DestinationKey, OffsetDateTime)> {
        if is_due(&mut self.checked, now) {
            return Vec::new();
        }
        let stretches = self.marks.iter();
        let mut heavy: Vec<_> = stretches
            .filter(|(_, stretch)| stretch.dead >= WORTHWHILE)
            .collect();
        heavy.sort_unstable_by_key(|(_, stretch)| std::cmp::Reverse(stretch.dead));
        heavy.truncate(MOST_MARKS);
        let marks = heavy.into_iter();
        marks
            .map(|(key, stretch)| (key.clone(), stretch.mark))
            .collect()
    }

    /// Notes that one more was handed out, and nothing live of that destination is stamped before
    /// `stamp`.
    pub(crate) fn raise(
        &mut self,
        destination: DestinationKey,
        stamp: OffsetDateTime,
        at: OffsetDateTime,
    ) {
        if self.marks.len() >= MOST_DESTINATIONS && !self.marks.contains_key(&destination) {
            self.marks.clear();
        }
        let stretch = self.marks.entry(destination).or_insert(Stretch {
            mark: BEGINNING,
            dead: 0,
        });
        stretch.mark = stamp.min(at - MARGIN).max(stretch.mark);
        stretch.dead += 1;
    }
}

/// Before anything that was ever stamped.
const BEGINNING: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// Whether it is time to start from the head. Not at the very first time, when there is no mark.
fn is_due(checked: &mut Option<Instant>, now: Instant) -> bool {
    let due = checked.is_some_and(|checked| now.duration_since(checked) >= RECHECK);
    if due || checked.is_none() {
        *checked = Some(now);
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Tenant;

    const NOON: OffsetDateTime = time::macros::datetime!(2026-11-23 12:00 UTC);

    #[test]
    fn a_mark_stays_behind_slow_transactions() {
        let mut low = LowWater::default();
        let now = Instant::now();
        assert_eq!(low.current(now), BEGINNING);
        low.raise(NOON - MARGIN * 2, NOON);
        assert_eq!(low.current(now), NOON - MARGIN * 2);
        low.raise(NOON, NOON);
        assert_eq!(low.current(now), NOON - MARGIN);
    }

    #[test]
    fn now_and_then_a_scan_starts_from_the_head() {
        let mut low = LowWater::default();
        let start = Instant::now();
        low.current(start);
        low.raise(NOON, NOON);
        assert_eq!(low.current(start + RECHECK), BEGINNING);
        assert_eq!(low.current(start + RECHECK), NOON - MARGIN);
    }

    #[test]
    fn marks_of_destinations_are_apart_only_rise_and_are_bounded() {
        let mut marks = DestinationMarks::default();
        let key = |domain: usize| DestinationKey {
            tenant: Tenant(1),
            domain: format!("{domain}.example"),
        };
        let now = Instant::now();
        for _ in 1..WORTHWHILE {
            marks.raise(key(1), NOON, NOON);
        }
        assert_eq!(marks.current(now), [], "not worth it yet");
        marks.raise(key(1), NOON - MARGIN * 3, NOON);
        assert_eq!(marks.current(now), [(key(1), NOON - MARGIN)]);
        for domain in 2..=100 {
            for _ in 0..WORTHWHILE + 1 {
                marks.raise(key(domain), NOON, NOON);
            }
        }
        let current = marks.current(now);
        assert_eq!(current.len(), MOST_MARKS);
        assert!(
            current.iter().all(|(told, _)| *told != key(1)),
            "others are heavier"
        );
        for domain in 0..=MOST_DESTINATIONS {
            marks.raise(key(domain), NOON, NOON);
        }
        assert!(marks.marks.len() <= MOST_DESTINATIONS);
    }
}
