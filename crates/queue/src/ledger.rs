//! The ledger: what came in, what went out, what is still there.

use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};

use crate::database::Queue;
use crate::error::QueueError;
use crate::ids::Tenant;
use crate::patient::Patient;

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

impl FromRow<'_, PgRow> for Balance {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            tenant: Tenant(row.try_get("tenant")?),
            accepted: row.try_get("accepted")?,
            delivered: row.try_get("delivered")?,
            failed: row.try_get("failed")?,
            expired: row.try_get("expired")?,
            cancelled: row.try_get("cancelled")?,
            discarded: row.try_get("discarded")?,
            queued: row.try_get("queued")?,
            difference: row.try_get("difference")?,
        })
    }
}

const BALANCES: &str = "
SELECT tenant, accepted, delivered, failed, expired, cancelled, discarded, queued, difference
FROM queue.balance
ORDER BY tenant
";

impl Queue {
    /// The ledger of every tenant, in one snapshot. Counts the whole queue: not for hot paths.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn balances(&self) -> Result<Vec<Balance>, QueueError> {
        let mut patient = Patient::reading_whole_tables(self).await?;
        patient.fetch_all(sqlx::query(BALANCES)).await
    }
}
