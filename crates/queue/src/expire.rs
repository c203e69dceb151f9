//! Units that expire while their destination is suspended.

use sqlx::{FromRow as _, Row as _};
use time::OffsetDateTime;

use crate::claim::Claimer;
use crate::connection::answered;
use crate::error::QueueError;
use crate::ids::Shard;
use crate::lease::LeasedUnit;
use crate::lookup::{at_message, at_unit};
use crate::rows::{LeasedRow, leased_columns};

/// Leases units of one shard that nobody will attempt in time: their destination is suspended,
/// and its last failure came after they had expired. Until there is such a failure they wait for
/// it, so that after an outage of ours mail gets its attempt before it bounces.
pub(crate) const EXPIRE: &str = concat!(
    "
WITH late AS (
    SELECT u.shard, u.message, u.number, d.last_reply, d.last_failure_at
    FROM queue.destination AS d
    CROSS JOIN LATERAL (
        SELECT u.shard, u.message, u.number
        FROM queue.unit AS u
        WHERE u.shard = $1 AND u.state = 'ready' AND u.tenant = d.tenant AND u.domain = d.domain
          AND u.expires_at < d.last_failure_at
        ORDER BY u.expires_at
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    ) AS u
    WHERE d.suspended_until IS NOT NULL
    LIMIT $2
),
u AS (
    UPDATE queue.unit AS u
    SET state = 'leased', holder = $3, leased_at = now(), attempt = u.attempt + 1
    FROM late
    WHERE ",
    at_unit!("u", "late.shard, late.message, late.number"),
    "
    RETURNING u.*, late.last_reply AS destination_reply, late.last_failure_at
)
SELECT u.destination_reply, u.last_failure_at, ",
    leased_columns!(),
    "
FROM u JOIN queue.message AS m ON ",
    at_message!("m", "u.shard, u.message")
);

/// A unit whose time was up while its destination was suspended.
#[derive(Clone, Debug)]
pub struct Expired {
    /// The unit, leased so that it can be completed as expired. Without content.
    pub unit: LeasedUnit,
    /// What the destination answered last.
    pub last_reply: String,
    /// When that was.
    pub last_failure_at: OffsetDateTime,
}

impl Claimer {
    /// Leases units of one shard that expired while their destination was suspended, at most
    /// `limit`. They are not to be attempted but completed as expired.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn expire(&self, shard: Shard, limit: u32) -> Result<Vec<Expired>, QueueError> {
        let query = sqlx::query(EXPIRE)
            .bind(shard.column())
            .bind(i64::from(limit))
            .bind(self.holder.0);
        let rows = answered(query.fetch_all(self.queue.pool())).await?;
        let mut expired = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(unit) = LeasedRow::from_row(row)?.into_unit(false) {
                expired.push(Expired {
                    unit,
                    last_reply: row.try_get("destination_reply")?,
                    last_failure_at: row.try_get("last_failure_at")?,
                });
            }
        }
        Ok(expired)
    }
}
