//! Leases that never reached their holder: the hand-off was lost between COMMIT and stream.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use sqlx::postgres::PgBindIterExt as _;
use sqlx::types::Uuid;
use time::OffsetDateTime;

use crate::claim::Claimer;
use crate::error::QueueError;
use crate::ids::{Shard, UnitId};
use crate::lease::LeasedUnit;
use crate::lookup::{at_message, at_unit};
use crate::rows::{LeasedRow, leased_columns, unit_id};
use crate::statement::from_row;

/// Most leases that one sweep looks at.
const MOST: i64 = 20_000;

/// What a holder has held for some time; a row at least, for the time.
pub(crate) const HOLDINGS: &str = "
SELECT now() AS at, u.message, u.number, u.attempt, u.leased_at
FROM (SELECT) AS one
LEFT JOIN LATERAL (
    SELECT message, number, attempt, leased_at
    FROM queue.unit
    WHERE state = 'leased' AND holder = $1 AND leased_at >= $2 AND leased_at < now() - $3::interval
    ORDER BY leased_at
    LIMIT $4
) AS u ON true
";

/// Takes units of one shard over from their own holder. The attempt is raised: should the unit
/// turn up in a stream after all, its lease is fenced.
pub(crate) const ADOPT: &str = concat!(
    "
WITH u AS (
    UPDATE queue.unit AS u
    SET attempt = u.attempt + 1, leased_at = now()
    FROM (SELECT $1::smallint AS shard, unnest($3::uuid[]) AS message, unnest($4::int[]) AS number,
                 unnest($5::int[]) AS attempt) AS lost
    WHERE ",
    at_unit!("u", "lost.shard", "lost.message, lost.number"),
    "
      AND u.holder = $2 AND u.attempt = lost.attempt
    RETURNING u.*
)
SELECT ",
    leased_columns!(),
    "
FROM u JOIN queue.message AS m ON ",
    at_message!("m", "u.shard", "u.message")
);

from_row! {
    struct HoldingRow {
        at: OffsetDateTime,
        message: Option<Uuid>,
        number: Option<i32>,
        attempt: Option<i32>,
        leased_at: Option<OffsetDateTime>,
    }
}

struct Holding {
    unit: UnitId,
    attempt: i32,
}

impl HoldingRow {
    fn holding(&self) -> Option<Holding> {
        Some(Holding {
            unit: unit_id(self.message?, self.number?)?,
            attempt: self.attempt?,
        })
    }
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
        let query = sqlx::query(HOLDINGS)
            .bind(self.holder.0)
            .bind(leased_from)
            .bind(older_than)
            .bind(MOST);
        let rows: Vec<HoldingRow> = self.queue.fetch_all(query).await?;
        if let Some(first) = rows.first() {
            let oldest = first.leased_at.unwrap_or(first.at);
            self.low_water(|low| low.raise(oldest, first.at));
        }
        let mut lost: BTreeMap<Shard, Vec<Holding>> = BTreeMap::new();
        for holding in rows.iter().filter_map(HoldingRow::holding) {
            if !known(&holding.unit) {
                let shard = holding.unit.queue_id.shard();
                lost.entry(shard).or_default().push(holding);
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
        lost: &[Holding],
    ) -> Result<Vec<LeasedUnit>, QueueError> {
        let query = sqlx::query(ADOPT)
            .bind(shard.column())
            .bind(self.holder.0)
            .bind(
                lost.iter()
                    .map(|holding| holding.unit.queue_id.as_uuid())
                    .bind_iter(),
            )
            .bind(lost.iter().map(|holding| holding.unit.number).bind_iter())
            .bind(lost.iter().map(|holding| holding.attempt).bind_iter());
        let rows: Vec<LeasedRow> = self.queue.fetch_all(query).await?;
        let adopted = rows.into_iter().filter_map(|row| row.into_unit(false));
        let adopted: Vec<LeasedUnit> = adopted.collect();
        tracing::info!(units = adopted.len(), %shard, "adopted leases whose hand-off was lost");
        Ok(adopted)
    }

    fn low_water<T>(&self, use_it: impl FnOnce(&mut crate::watermark::LowWater) -> T) -> T {
        use_it(&mut self.adopted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
