//! Recurring upkeep. Several relays may call it: one at a time does the work.

use std::time::Duration;

use crate::database::Queue;
use crate::error::QueueError;
use crate::lookup::at_unit;
use crate::statement::Statement;

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// The journal of attempts; in whole days, besides today's.
    pub journal: Duration,
}

impl Default for Retention {
    /// 30 days.
    fn default() -> Self {
        Self {
            journal: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

/// Deltas folded at a time.
const FOLDED_AT_ONCE: i32 = 50_000;

// Each of these is one statement, hence one transaction, and does nothing while another process
// holds its lock.

const FOLD: &str = "
SELECT CASE WHEN pg_try_advisory_xact_lock(hashtext('chasqui queue'), 1)
            THEN queue.fold_ledger($1) ELSE 0 END
";

const ENSURE_PARTITIONS: &str = "
SELECT CASE WHEN pg_try_advisory_xact_lock(hashtext('chasqui queue'), 2)
            THEN queue.ensure_partitions() ELSE 0 END
";

const DROP_PARTITIONS: &str = "
SELECT CASE WHEN pg_try_advisory_xact_lock(hashtext('chasqui queue'), 2)
            THEN queue.drop_partitions((now() AT TIME ZONE 'UTC')::date - $1) ELSE 0 END
";

/// Removes destinations that are open, and those that were suspended a day ago for the last time
/// and that nothing waits for. The row's lock makes sure that it is still so.
const PRUNE_DESTINATIONS: &str = "
DELETE FROM queue.destination AS d
WHERE (d.suspended_until IS NULL AND d.ramp IS NULL)
   OR (d.suspended_until < now() - interval '1 day' AND NOT EXISTS (
        SELECT FROM generate_series(0, 15) AS every (shard)
        JOIN queue.unit AS u ON u.shard = every.shard AND u.tenant = d.tenant AND u.domain = d.domain
                            AND u.state = 'ready'))
";

/// Removes incarnations that are gone for an hour and hold nothing.
const PRUNE_INCARNATIONS: &str = "
DELETE FROM queue.incarnation AS i
WHERE coalesce(i.fenced_at, i.ended_at) < now() - interval '1 hour'
  AND NOT EXISTS (SELECT FROM queue.unit AS u WHERE u.state = 'leased' AND u.holder = i.id)
";

/// Makes units ready whose holder isn't even known any more. That takes a statement that hung for
/// an hour before it committed, or an operator's slip; it is looked for in the gaps between the
/// known holders, so that nobody else's index entries are touched.
pub(crate) const RECLAIM_ORPHANS: &str = concat!(
    "
WITH known AS MATERIALIZED (
    SELECT id FROM queue.incarnation
),
gap AS (
    SELECT coalesce(lag(id) OVER (ORDER BY id), -9223372036854775808) AS above, id AS below
    FROM known
),
lost AS MATERIALIZED (
    SELECT u.shard, u.message, u.number
    FROM gap
    CROSS JOIN LATERAL (
        SELECT u.shard, u.message, u.number
        FROM queue.unit AS u
        WHERE u.state = 'leased' AND u.holder > gap.above AND u.holder < gap.below
        LIMIT 1000
        FOR UPDATE SKIP LOCKED
    ) AS u
    LIMIT 1000
)
UPDATE queue.unit AS u
SET state = CASE WHEN u.hold_requested THEN 'held' ELSE 'ready' END::queue.unit_state,
    hold_requested = false, holder = NULL, leased_at = NULL, due_at = now()
FROM lost
WHERE ",
    at_unit!("u", "lost.shard", "lost.message, lost.number")
);

impl Queue {
    /// Folds the ledger, makes journal partitions for the week ahead, drops those past
    /// retention, removes destinations that are open and incarnations that hold nothing. Bounded;
    /// to be called about every minute, with jitter. Leaves out what another process is at.
    ///
    /// # Errors
    /// The first [`QueueError`]; the other jobs were done all the same.
    pub async fn upkeep(&self, retention: Retention) -> Result<(), QueueError> {
        let days = i32::try_from(retention.journal.as_secs().div_ceil(24 * 3600));
        let days = days.unwrap_or(i32::MAX / 2);
        let results = [
            self.fold_ledger().await,
            self.job(sqlx::query(ENSURE_PARTITIONS)).await,
            self.job(sqlx::query(DROP_PARTITIONS).bind(days)).await,
            self.job(sqlx::query(PRUNE_DESTINATIONS)).await,
            self.job(sqlx::query(RECLAIM_ORPHANS)).await,
            self.job(sqlx::query(PRUNE_INCARNATIONS)).await,
        ];
        results.into_iter().collect()
    }

    async fn fold_ledger(&self) -> Result<(), QueueError> {
        loop {
            let query = sqlx::query(FOLD).bind(FOLDED_AT_ONCE);
            let (folded,): (i64,) = self.fetch_one(query).await?;
            if folded < i64::from(FOLDED_AT_ONCE) {
                return Ok(());
            }
        }
    }

    async fn job(&self, statement: Statement<'_>) -> Result<(), QueueError> {
        self.execute(statement).await?;
        Ok(())
    }
}
