//! Leases that never reached their holder: the hand-off was lost between COMMIT and stream.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use sqlx::FromRow as _;
use sqlx::postgres::PgBindIterExt as _;
use sqlx::types::Uuid;
use time::OffsetDateTime;

use crate::claim::Claimer;
use crate::connection::answered;
use crate::error::QueueError;
use crate::ids::{Shard, UnitId};
use crate::lease::LeasedUnit;
use crate::rows::{LeasedRow, leased_columns, unit_id};

/// Most leases that one sweep looks at.
const MOST: i64 = 20_000;

/// What a holder has held for some time.
const HOLDINGS: &str = "
SELECT message, number, attempt, leased_at, now()
FROM queue.unit
WHERE state = 'leased' AND holder = $1 AND leased_at >= $2 AND leased_at < now() - $3
ORDER BY leased_at
LIMIT $4
";

/// Takes units of one shard over from their own holder. The attempt is raised: should the unit
/// turn up in a stream after all, its lease is fenced.
const ADOPT: &str = concat!(
    "
WITH u AS (
    UPDATE queue.unit AS u
    SET attempt = u.attempt + 1, leased_at = now()
    FROM (SELECT unnest($3::uuid[]) AS message, unnest($4::int[]) AS number,
                 unnest($5::int[]) AS attempt) AS lost
    WHERE u.shard = $1 AND u.message = lost.message AND u.number = lost.number
      AND u.holder = $2 AND u.attempt = lost.attempt
    RETURNING u.*
)
SELECT ",
    leased_columns!(),
    "
FROM u JOIN queue.message AS m ON m.shard = $1 AND m.id = u.message
"
);

#[derive(sqlx::FromRow)]
struct Holding {
    message: Uuid,
    number: i32,
    attempt: i32,
    leased_at: OffsetDateTime,
    now: OffsetDateTime,
}

impl Claimer {
    /// Takes over units that have been leased to this incarnation for longer than `older_than`
    /// and that it doesn't know. A unit is `known` from the moment it is received until its
    /// completion is answered. Without content.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn adopt(
        &self,
        older_than: Duration,
        known: impl Fn(&UnitId) -> bool,
    ) -> Result<Vec<LeasedUnit>, QueueError> {
        let leased_from = self.low_water(|low| low.current(Instant::now()));
        let query = sqlx::query_as(HOLDINGS)
            .bind(self.holder.0)
            .bind(leased_from)
            .bind(older_than)
            .bind(MOST);
        let holdings: Vec<Holding> = answered(query.fetch_all(self.queue.pool())).await?;
        if let Some(oldest) = holdings.first() {
            self.low_water(|low| low.raise(oldest.leased_at, oldest.now));
        }
        let mut lost: BTreeMap<Shard, Vec<&Holding>> = BTreeMap::new();
        for holding in &holdings {
            match unit_id(holding.message, holding.number) {
                Some(unit) if !known(&unit) => {
                    lost.entry(unit.queue_id.shard()).or_default().push(holding);
                }
                _ => {}
            }
        }
        let mut adopted = Vec::new();
        for (shard, lost) in lost {
            adopted.extend(self.adopt_in(shard, &lost).await?);
        }
        Ok(adopted)
    }

    /// What was completed since it was listed is gone, and is not adopted.
    async fn adopt_in(
        &self,
        shard: Shard,
        lost: &[&Holding],
    ) -> Result<Vec<LeasedUnit>, QueueError> {
        let query = sqlx::query(ADOPT)
            .bind(shard.column())
            .bind(self.holder.0)
            .bind(lost.iter().map(|holding| holding.message).bind_iter())
            .bind(lost.iter().map(|holding| holding.number).bind_iter())
            .bind(lost.iter().map(|holding| holding.attempt).bind_iter());
        let rows = answered(query.fetch_all(self.queue.pool())).await?;
        let mut adopted = Vec::with_capacity(rows.len());
        for row in &rows {
            adopted.extend(LeasedRow::from_row(row)?.into_unit(false));
        }
        tracing::info!(units = adopted.len(), %shard, "adopted leases whose hand-off was lost");
        Ok(adopted)
    }

    fn low_water<T>(&self, use_it: impl FnOnce(&mut crate::watermark::LowWater) -> T) -> T {
        use_it(&mut self.adopted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
