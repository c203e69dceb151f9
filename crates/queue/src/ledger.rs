//! The ledger: what came in, what went out, what is still there.

use crate::database::Queue;
use crate::error::QueueError;
use crate::ids::Tenant;

/// Recipients of one tenant since the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Whose mail.
    pub tenant: Tenant,
    /// Accepted, notifications and redirects counted in.
    pub accepted: i64,
    /// Delivered.
    pub delivered: i64,
    /// Failed for good.
    pub failed: i64,
    /// Given up.
    pub expired: i64,
    /// Cancelled by an operator.
    pub cancelled: i64,
    /// Thrown away by a route.
    pub discarded: i64,
    /// In the queue now.
    pub queued: i64,
    /// Accepted minus all the others: always 0.
    pub difference: i64,
}

impl Queue {
    /// The ledger of every tenant, in one snapshot. Counts the whole queue: not for hot paths.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn balances(&self) -> Result<Vec<Balance>, QueueError> {
        todo!()
    }
}
