//! Destinations that are suspended: one row each, however much mail waits for them.

use time::OffsetDateTime;

use crate::database::Queue;
use crate::error::QueueError;
use crate::ids::DestinationKey;

/// A destination that gets no mail for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Whose mail to where.
    pub destination: DestinationKey,
    /// When the next probe is due.
    pub until: OffsetDateTime,
    /// Failures in a row.
    pub failures: i32,
    /// What was answered last: one line.
    pub reply: String,
    /// The route that failed, in the relay's words.
    pub route: String,
}

impl Queue {
    /// Suspends a destination, or suspends it for longer, after a failure of its hosts or of a
    /// session with them. The count of failures in a row is kept in the database, so the caller
    /// gives the back-off as a function's two ends: `base` doubles with each failure up to `cap`,
    /// with jitter. Tells the suspension that results.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn suspend(
        &self,
        _destination: &DestinationKey,
        _base: std::time::Duration,
        _cap: std::time::Duration,
        _reply: &str,
        _route: &str,
    ) -> Result<Suspension, QueueError> {
        todo!()
    }

    /// Notes a success at a destination that was suspended or is ramping up: a suspended one
    /// reopens with one unit a claim, and each further success doubles that. Tells whether it is
    /// fully open.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn reopen(&self, _destination: &DestinationKey) -> Result<bool, QueueError> {
        todo!()
    }

    /// Opens a destination at once, without ramp: its route has changed, or an operator says so.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn open(&self, _destination: &DestinationKey) -> Result<(), QueueError> {
        todo!()
    }

    /// All suspended and ramping destinations, at most `limit`.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn suspensions(&self, _limit: u32) -> Result<Vec<Suspension>, QueueError> {
        todo!()
    }
}
