//! Deferred units whose time has come.

use std::time::Instant;

use time::OffsetDateTime;

use crate::claim::Claimer;
use crate::error::QueueError;
use crate::ids::Shard;
use crate::lookup::at_unit;

/// Makes due units of one shard ready. They queue up behind what is ready for their destination.
pub(crate) const PROMOTE: &str = concat!(
    "
WITH due AS (
    SELECT shard, message, number, due_at
    FROM queue.unit
    WHERE shard = $1 AND state = 'deferred' AND due_at >= $2 AND due_at <= now()
    ORDER BY due_at
    LIMIT $3
    FOR UPDATE SKIP LOCKED
),
promoted AS (
    UPDATE queue.unit AS u
    SET state = 'ready', due_at = now()
    FROM due
    WHERE ",
    at_unit!("u", "due.shard", "due.message, due.number"),
    "
    RETURNING due.due_at
)
SELECT count(*), coalesce(max(due_at), now()), now() FROM promoted
"
);

impl Claimer {
    /// Makes deferred units of one shard ready whose time has come, at most `limit`; tells how
    /// many.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn promote(&self, shard: Shard, limit: u32) -> Result<u64, QueueError> {
        let due_from = self.with_shard(shard, |state| state.promoted.current(Instant::now()));
        let query = sqlx::query(PROMOTE)
            .bind(shard.column())
            .bind(due_from)
            .bind(i64::from(limit));
        let (promoted, last, at): (i64, OffsetDateTime, OffsetDateTime) =
            self.queue.fetch_one(query).await?;
        self.with_shard(shard, |state| state.promoted.raise(last, at));
        Ok(u64::try_from(promoted).unwrap_or(0))
    }
}
