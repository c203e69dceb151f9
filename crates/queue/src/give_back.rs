//! Leases given back untried.

use std::collections::BTreeMap;

use sqlx::postgres::PgBindIterExt as _;

use crate::claim::Claimer;
use crate::error::QueueError;
use crate::ids::Shard;
use crate::lease::Lease;
use crate::lookup::at_unit;

/// Makes leased units of one shard ready again, as if they had never been leased.
pub(crate) const GIVE_BACK: &str = concat!(
    "
UPDATE queue.unit AS u
SET state = CASE WHEN u.hold_requested THEN 'held' ELSE 'ready' END::queue.unit_state,
    hold_requested = false, holder = NULL, leased_at = NULL, due_at = now()
FROM (SELECT $1::smallint AS shard, unnest($2::uuid[]) AS message, unnest($3::int[]) AS number,
             unnest($4::bigint[]) AS holder, unnest($5::int[]) AS attempt) AS c
WHERE ",
    at_unit!("u", "c.shard", "c.message, c.number"),
    "
  AND u.holder = c.holder AND u.attempt = c.attempt
"
);

impl Claimer {
    /// Gives leases back untried, for any relay to take at once; tells how many were still held.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn give_back(
        &self,
        leases: impl IntoIterator<Item = Lease>,
    ) -> Result<u64, QueueError> {
        let mut shards: BTreeMap<Shard, Vec<Lease>> = BTreeMap::new();
        for lease in leases {
            let shard = lease.unit.queue_id.shard();
            shards.entry(shard).or_default().push(lease);
        }
        let mut given_back = 0;
        for (shard, mut leases) in shards {
            // Rows are locked in the order of the list.
            leases.sort_unstable_by_key(|lease| lease.unit);
            let each = || leases.iter();
            let query = sqlx::query(GIVE_BACK)
                .bind(shard.column())
                .bind(
                    each()
                        .map(|lease| lease.unit.queue_id.as_uuid())
                        .bind_iter(),
                )
                .bind(each().map(|lease| lease.unit.number).bind_iter())
                .bind(each().map(|lease| lease.holder.0).bind_iter())
                .bind(each().map(|lease| lease.attempt).bind_iter());
            given_back += self.queue.execute(query).await?;
        }
        Ok(given_back)
    }
}
