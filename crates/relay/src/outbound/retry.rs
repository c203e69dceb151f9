//! When to try again, and when to give up.

use std::time::Duration;

use time::OffsetDateTime;

/// Exponential back-off with jitter, bounded on both ends (RFC 5321 §4.5.4.1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backoff {
    /// The delay after the first failure.
    pub(crate) first: Duration,
    /// No delay is longer.
    pub(crate) longest: Duration,
}

impl Backoff {
    /// The delay after `failures` failures in a row (1 for the first), doubling each time, then
    /// spread by up to ±20 % so that what failed together doesn't come back together. `spread` is a
    /// random number in 0..1.
    pub(crate) fn delay(&self, failures: u32, spread: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let delay = self.first.saturating_mul(1 << doublings).min(self.longest);
        delay.mul_f64(0.8 + 0.4 * spread.clamp(0.0, 1.0))
    }
}

/// When a unit's next attempt is due: after `delay`, but no later than its expiry while that lies
/// ahead, so that the last attempt falls about when the message expires.
pub(crate) fn due_at(
    now: OffsetDateTime,
    delay: Duration,
    expires_at: OffsetDateTime,
) -> OffsetDateTime {
    let due = now + delay;
    if expires_at > now {
        due.min(expires_at)
    } else {
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_secs(300),
        longest: Duration::from_secs(14_400),
    };

    #[test]
    fn delays_double_up_to_the_longest() {
        let delays: Vec<u64> = (1..=9).map(|n| BACKOFF.delay(n, 0.5).as_secs()).collect();
        assert_eq!(
            delays,
            [300, 600, 1200, 2400, 4800, 9600, 14_400, 14_400, 14_400]
        );
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        assert_eq!(BACKOFF.delay(1, 0.0).as_secs(), 240);
        assert_eq!(BACKOFF.delay(1, 1.0).as_secs(), 360);
    }

    #[test]
    fn any_number_of_failures_is_bounded() {
        assert_eq!(BACKOFF.delay(u32::MAX, 0.5), BACKOFF.longest);
    }

    #[test]
    fn the_last_attempt_falls_on_the_expiry() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let soon = now + Duration::from_secs(10);
        assert_eq!(due_at(now, Duration::from_secs(60), soon), soon);
        assert_eq!(
            due_at(now, Duration::from_secs(60), now),
            now + Duration::from_secs(60)
        );
    }
}
