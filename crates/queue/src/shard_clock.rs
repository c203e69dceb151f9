//! Which shard new messages go to.

use std::time::{Duration, Instant};

use crate::ids::Shard;

/// How long new messages go to one shard.
const TURN: Duration = Duration::from_secs(1);

/// Goes round the shards, a second each, from a random start: messages that arrive together
/// share a batch, while several processes and the run of time use all shards alike.
pub(crate) struct ShardClock {
    started: Instant,
    first: Shard,
}

impl ShardClock {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            first: Shard::random(),
        }
    }

    /// The shard whose turn it is.
    pub(crate) fn shard(&self) -> Shard {
        self.at(self.started.elapsed())
    }

    fn at(&self, elapsed: Duration) -> Shard {
        let turns = elapsed.as_secs() / TURN.as_secs();
        self.first.after(turns)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn shards_take_turns() {
        let clock = ShardClock::start();
        assert_eq!(
            clock.at(Duration::ZERO),
            clock.at(Duration::from_millis(999))
        );
        let seen: HashSet<Shard> = (0..u64::from(Shard::COUNT))
            .map(|second| clock.at(Duration::from_secs(second)))
            .collect();
        assert_eq!(seen.len(), usize::from(Shard::COUNT));
    }
}
