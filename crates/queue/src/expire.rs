//! Units that expire while their destination is suspended.

use sqlx::postgres::PgRow;
use sqlx::{FromRow as _, Row as _};
use time::OffsetDateTime;

use crate::claim::{BEFORE_ALL, Claimer};
use crate::error::QueueError;
use crate::ids::{DestinationKey, Shard, Tenant};
use crate::lease::LeasedUnit;
use crate::lookup::{at_message, at_unit};
use crate::rows::{LeasedRow, leased_columns};

/// Most suspended destinations that one call looks at.
const DESTINATIONS: i64 = 200;

/// Leases units of one shard that nobody will attempt in time: their destination is suspended,
/// and its last failure came after they had expired. Until there is such a failure they wait for
/// it, so that after an outage of ours mail gets its attempt before it bounces.
///
/// Tells also at which destination it ended, if there may be more behind it.
pub(crate) const EXPIRE: &str = concat!(
    "
WITH looked_at AS MATERIALIZED (
    SELECT tenant, domain, last_reply, last_failure_at
    FROM queue.destination
    WHERE suspended_until IS NOT NULL AND (tenant, domain) > ($4, $5)
    ORDER BY tenant, domain
    LIMIT $6
),
late AS MATERIALIZED (
    SELECT u.shard, u.message, u.number, d.last_reply, d.last_failure_at
    FROM looked_at AS d
    CROSS JOIN LATERAL (
        SELECT u.shard, u.message, u.number
        FROM queue.unit AS u
        WHERE u.shard = $1 AND u.state = 'ready' AND u.tenant = d.tenant AND u.domain = d.domain
          AND u.expires_at < d.last_failure_at
        ORDER BY u.expires_at
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    ) AS u
    LIMIT $2
),
u AS (
    UPDATE queue.unit AS u
    SET state = 'leased', holder = $3, leased_at = now(), attempt = u.attempt + 1
    FROM late
    WHERE ",
    at_unit!("u", "late.shard", "late.message, late.number"),
    "
    RETURNING u.*, late.last_reply AS destination_reply, late.last_failure_at
)
SELECT ended.tenant AS ended_tenant, ended.domain AS ended_domain, taken.*
FROM (SELECT) AS one
LEFT JOIN (
    SELECT tenant, domain FROM looked_at
    WHERE (SELECT count(*) FROM looked_at) = $6
    ORDER BY tenant DESC, domain DESC
    LIMIT 1
) AS ended ON true
LEFT JOIN (
    SELECT u.destination_reply, u.last_failure_at, ",
    leased_columns!(),
    "
    FROM u JOIN queue.message AS m ON ",
    at_message!("m", "u.shard", "u.message"),
    "
) AS taken ON true
"
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
    /// Each call looks at 200 suspended destinations, going round.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn expire(&self, shard: Shard, limit: u32) -> Result<Vec<Expired>, QueueError> {
        let cursor = self.with_shard(shard, |state| state.expiry_cursor.take());
        let start = cursor.unwrap_or(BEFORE_ALL);
        let query = sqlx::query(EXPIRE)
            .bind(shard.column())
            .bind(i64::from(limit))
            .bind(self.holder.0)
            .bind(start.tenant.0)
            .bind(start.domain)
            .bind(DESTINATIONS);
        let rows = self.queue.rows(query).await?;
        let cursor = rows.first().map(ended_at).transpose()?.flatten();
        self.with_shard(shard, |state| state.expiry_cursor = cursor);
        let mut expired = Vec::with_capacity(rows.len());
        for row in &rows {
            let Some(last_reply) = row.try_get("destination_reply")? else {
                continue;
            };
            if let Some(unit) = LeasedRow::from_row(row)?.into_unit(false) {
                expired.push(Expired {
                    unit,
                    last_reply,
                    last_failure_at: row.try_get("last_failure_at")?,
                });
            }
        }
        Ok(expired)
    }
}

fn ended_at(row: &PgRow) -> Result<Option<DestinationKey>, sqlx::Error> {
    let tenant: Option<i64> = row.try_get("ended_tenant")?;
    let domain: Option<String> = row.try_get("ended_domain")?;
    let key = tenant.map(Tenant).zip(domain);
    Ok(key.map(|(tenant, domain)| DestinationKey { tenant, domain }))
}
