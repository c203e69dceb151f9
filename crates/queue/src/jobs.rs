//! Recurring upkeep. Several relays may call it: one at a time does the work.

use std::time::Duration;

use crate::database::Queue;
use crate::error::QueueError;

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Days of the journal of attempts, besides today.
    pub journal: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            journal: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

impl Queue {
    /// Folds the ledger, makes journal partitions for the week ahead, drops those past
    /// retention, removes destinations that are open and incarnations that hold nothing. Bounded;
    /// to be called about every minute, with jitter. Does nothing while another process does it.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn upkeep(&self, _retention: Retention) -> Result<(), QueueError> {
        todo!()
    }
}
