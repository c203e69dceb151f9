//! Claiming what is ready: a few units of each destination, all destinations in turn.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use sqlx::postgres::{PgBindIterExt as _, PgRow};
use sqlx::{FromRow as _, Row as _};
use time::OffsetDateTime;

use crate::database::Queue;
use crate::error::QueueError;
use crate::ids::{DestinationKey, IncarnationId, Shard, Tenant};
use crate::lease::LeasedUnit;
use crate::lookup::{at_message, at_unit};
use crate::metrics;
use crate::rows::{LeasedRow, leased_columns};
use crate::watermark::{DestinationMarks, LowWater};

/// How much a claim may take.
#[derive(Clone, Copy, Debug)]
pub struct ClaimLimits {
    /// Most units of one (tenant, routing domain).
    pub per_destination: u32,
    /// Most units in all.
    pub units: u32,
}

/// Most destinations that one statement looks at.
const HEADS: i32 = 128;

/// Most statements of one claim that finds nothing but suspended destinations.
const MOST_STATEMENTS: usize = 16;

/// Leases ready units of one shard.
///
/// - `head` hops along the index from one destination to the next, from the cursor on. It never
///   looks into stretches at the front of a destination that are known to be claimed already
///   (`mark`): their index entries are dead, yet cost a visit each until vacuum removes them, which
///   a single old snapshot anywhere can put off for hours.
/// - `open` passes over suspended destinations, whatever waits for them, but for one probe when
///   the time has come. Who may probe is decided under the destination's lock in `probing`.
/// - Nothing here ever waits for a lock.
pub(crate) const CLAIM: &str = concat!(
    "
WITH RECURSIVE mark AS (
    SELECT unnest($4::bigint[]) AS tenant, unnest($5::text[]) COLLATE \"C\" AS domain,
           unnest($6::timestamptz[]) AS due_from
),
head AS (
    SELECT 0 AS step, $2::bigint AS tenant, $3::text COLLATE \"C\" AS domain,
           '-infinity'::timestamptz AS due_from
    UNION ALL
    SELECT h.step + 1, next.tenant, next.domain, next.due_from
    FROM head AS h
    LEFT JOIN LATERAL (
        SELECT m.tenant, m.domain, m.due_from
        FROM mark AS m
        WHERE (m.tenant, m.domain) > (h.tenant, h.domain)
        ORDER BY m.tenant, m.domain
        LIMIT 1
    ) AS marked ON true
    CROSS JOIN LATERAL (
        SELECT * FROM (
            (SELECT u.tenant, u.domain, '-infinity'::timestamptz AS due_from
             FROM queue.unit AS u
             WHERE u.shard = $1 AND u.state = 'ready' AND u.unclean_takeovers < 2
               AND (u.tenant, u.domain) > (h.tenant, h.domain)
               AND (u.tenant, u.domain) < (coalesce(marked.tenant, 9223372036854775807),
                                           coalesce(marked.domain, ''))
             ORDER BY u.tenant, u.domain
             LIMIT 1)
            UNION ALL
            SELECT marked.tenant, marked.domain, marked.due_from WHERE marked.tenant IS NOT NULL
        ) AS either
        ORDER BY either.tenant, either.domain
        LIMIT 1
    ) AS next
    WHERE h.step < $7
),
open AS (
    SELECT h.tenant, h.domain, h.due_from, d.suspended_until IS NOT NULL AS probe,
           CASE WHEN d.suspended_until IS NULL THEN least($8, coalesce(d.ramp, $8)) ELSE 1 END
               AS allowance
    FROM head AS h
    LEFT JOIN queue.destination AS d ON d.tenant = h.tenant AND d.domain = h.domain
    WHERE h.step > 0
      AND (d.suspended_until IS NULL OR (d.suspended_until <= now() AND queue.may_probe(d)))
),
picked AS MATERIALIZED (
    SELECT o.tenant, o.domain, o.probe, u.shard, u.message, u.number
    FROM open AS o
    CROSS JOIN LATERAL (
        SELECT u.shard, u.message, u.number
        FROM queue.unit AS u
        WHERE u.shard = $1 AND u.state = 'ready' AND u.unclean_takeovers < 2
          AND u.tenant = o.tenant AND u.domain = o.domain AND u.due_at >= o.due_from
        ORDER BY u.due_at, u.message, u.number
        LIMIT o.allowance
        FOR UPDATE SKIP LOCKED
    ) AS u
    LIMIT $9
),
probing AS (
    UPDATE queue.destination AS d
    SET probe_holder = $10, probe_started_at = now()
    FROM (SELECT d.tenant, d.domain
          FROM picked AS p
          JOIN queue.destination AS d ON d.tenant = p.tenant AND d.domain = p.domain
          WHERE p.probe AND d.suspended_until <= now() AND queue.may_probe(d)
          FOR UPDATE OF d SKIP LOCKED) AS free
    WHERE d.tenant = free.tenant AND d.domain = free.domain
    RETURNING d.tenant, d.domain
),
u AS (
    UPDATE queue.unit AS u
    SET state = 'leased', holder = $10, leased_at = now(), attempt = u.attempt + 1
    FROM picked AS p
    WHERE ",
    at_unit!("u", "p.shard", "p.message, p.number"),
    "
      AND (NOT p.probe OR (p.tenant, p.domain) IN (SELECT tenant, domain FROM probing))
    RETURNING u.*, p.probe
)
SELECT last.step AS last_step, last.tenant AS last_tenant, last.domain AS last_domain,
       now() AS at, taken.*
FROM (SELECT step, tenant, domain FROM head ORDER BY step DESC LIMIT 1) AS last
LEFT JOIN (
    SELECT u.probe, u.due_at, ",
    leased_columns!(),
    "
    FROM u JOIN queue.message AS m ON ",
    at_message!("m", "u.shard", "u.message"),
    "
) AS taken ON true
"
);

/// The cursor that starts over.
pub(crate) const BEFORE_ALL: DestinationKey = DestinationKey {
    tenant: Tenant(i64::MIN),
    domain: String::new(),
};

/// Takes leases for one incarnation.
#[derive(Debug)]
pub struct Claimer {
    pub(crate) queue: Queue,
    pub(crate) holder: IncarnationId,
    shards: Mutex<HashMap<Shard, ShardState>>,
    /// Nothing unknown was leased to the holder before.
    pub(crate) adopted: Mutex<LowWater>,
}

/// What a claimer remembers of a shard between two claims.
#[derive(Debug, Default)]
pub(crate) struct ShardState {
    /// Where the next claim goes on; none starts over.
    cursor: Option<DestinationKey>,
    claimed: DestinationMarks,
    /// Where the next look for expired units goes on; none starts over.
    pub(crate) expiry_cursor: Option<DestinationKey>,
    /// Nothing deferred was due before.
    pub(crate) promoted: LowWater,
}

impl Claimer {
    /// Claims for that incarnation.
    #[must_use]
    pub fn new(queue: Queue, holder: IncarnationId) -> Self {
        Self {
            queue,
            holder,
            shards: Mutex::default(),
            adopted: Mutex::default(),
        }
    }

    /// Leases ready units of one shard: a few of each destination, starting where the last claim
    /// of the shard ended. Of a suspended destination nothing is taken but, when its time is up,
    /// one probe. Without content.
    ///
    /// If it returns nothing, nothing is ready; unless there are more than 2,000 suspended
    /// destinations in a row, behind which the next claim goes on.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn claim(
        &self,
        shard: Shard,
        limits: ClaimLimits,
    ) -> Result<Vec<LeasedUnit>, QueueError> {
        let most = usize::try_from(limits.units).unwrap_or(usize::MAX);
        if most == 0 {
            return Ok(Vec::new());
        }
        for _ in 0..MOST_STATEMENTS {
            let (cursor, marks) = self.with_shard(shard, |state| {
                (state.cursor.take(), state.claimed.current(Instant::now()))
            });
            let from_start = cursor.is_none();
            let claim = self.claim_from(shard, limits, cursor, &marks).await?;
            let full = claim.taken.len() >= most;
            let next = match claim.taken.last() {
                Some(last) if full => Some(last.unit.destination()),
                _ => claim.last_head,
            };
            let came_round = from_start && next.is_none();
            self.with_shard(shard, |state| {
                for taken in &claim.taken {
                    let destination = taken.unit.destination();
                    state.claimed.raise(destination, taken.due_at, claim.at);
                }
                state.cursor = next;
            });
            metrics::claimed(claim.taken.len());
            if came_round || !claim.taken.is_empty() {
                return Ok(claim.taken.into_iter().map(|taken| taken.unit).collect());
            }
        }
        Ok(Vec::new())
    }

    async fn claim_from(
        &self,
        shard: Shard,
        limits: ClaimLimits,
        cursor: Option<DestinationKey>,
        marks: &[(DestinationKey, OffsetDateTime)],
    ) -> Result<Claim, QueueError> {
        let start = cursor.unwrap_or(BEFORE_ALL);
        let query = sqlx::query(CLAIM)
            .bind(shard.column())
            .bind(start.tenant.0)
            .bind(start.domain)
            .bind(marks.iter().map(|(key, _)| key.tenant.0).bind_iter())
            .bind(marks.iter().map(|(key, _)| key.domain.as_str()).bind_iter())
            .bind(marks.iter().map(|(_, due_from)| *due_from).bind_iter())
            .bind(HEADS)
            .bind(i64::from(limits.per_destination))
            .bind(i64::from(limits.units))
            .bind(self.holder.0);
        let rows = self.queue.rows(query).await?;
        Ok(Claim::read(&rows)?)
    }

    pub(crate) fn with_shard<T>(
        &self,
        shard: Shard,
        use_it: impl FnOnce(&mut ShardState) -> T,
    ) -> T {
        // The state is a mere hint: what a panicking thread left of it does no harm.
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(shards.entry(shard).or_default())
    }
}

/// What a claim returned.
struct Claim {
    taken: Vec<Taken>,
    /// The last destination looked at, unless there are none behind it.
    last_head: Option<DestinationKey>,
    /// The database's time.
    at: OffsetDateTime,
}

struct Taken {
    unit: LeasedUnit,
    /// When it had become ready.
    due_at: OffsetDateTime,
}

impl Claim {
    /// There is always a row, and if nothing was taken, it has no unit.
    fn read(rows: &[PgRow]) -> Result<Self, sqlx::Error> {
        let first = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let steps: i32 = first.try_get("last_step")?;
        let last_head = if steps < HEADS {
            None
        } else {
            Some(DestinationKey {
                tenant: Tenant(first.try_get("last_tenant")?),
                domain: first.try_get("last_domain")?,
            })
        };
        let mut taken = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(probe) = row.try_get::<Option<bool>, _>("probe")? else {
                continue;
            };
            if let Some(unit) = LeasedRow::from_row(row)?.into_unit(probe) {
                let due_at = row.try_get("due_at")?;
                taken.push(Taken { unit, due_at });
            }
        }
        Ok(Self {
            taken,
            last_head,
            at: first.try_get("at")?,
        })
    }
}
