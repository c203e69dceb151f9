//! Which destinations hold the queue up.

use time::OffsetDateTime;

use crate::database::Queue;
use crate::error::QueueError;
use crate::ids::{DestinationKey, QueueId, Tenant};
use crate::patient::Patient;
use crate::statement::from_row;

/// What is queued for one destination.
#[derive(Clone, Debug)]
pub struct DestinationLoad {
    /// Whose mail to where.
    pub destination: DestinationKey,
    /// Units, in whatever state.
    pub units: i64,
    /// Recipients in them.
    pub recipients: i64,
    /// Units to be attempted by the next relay that has room, or as soon as the destination opens.
    pub ready: i64,
    /// Units in the hands of relays.
    pub leased: i64,
    /// Units to be tried again later.
    pub deferred: i64,
    /// Units kept until an operator releases them.
    pub held: i64,
    /// When the oldest message was accepted.
    pub oldest_at: OffsetDateTime,
    /// When it was attempted last, as far as queued units tell.
    pub last_attempt_at: Option<OffsetDateTime>,
    /// What was answered to that attempt.
    pub last_reply: Option<String>,
    /// When the next probe is due, while it is suspended.
    pub suspended_until: Option<OffsetDateTime>,
    /// Failures of the destination in a row.
    pub failures: i32,
    /// Why it is or was suspended.
    pub suspension: Option<String>,
}

/// What comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopOrder {
    /// The most units.
    Units,
    /// The oldest message.
    Age,
}

/// Names of messages begin with the time, so that the least is the oldest. A sortable text carries
/// the last reply through the aggregate without keeping every one of them.
const TOP: &str = "
WITH load AS (
    SELECT tenant, domain, count(*) AS units, sum(cardinality(recipients))::bigint AS recipients,
           count(*) FILTER (WHERE state = 'ready') AS ready,
           count(*) FILTER (WHERE state = 'leased') AS leased,
           count(*) FILTER (WHERE state = 'deferred') AS deferred,
           count(*) FILTER (WHERE state = 'held') AS held,
           min(message::text COLLATE \"C\") AS oldest,
           max(last_attempt_at) AS last_attempt_at,
           max(to_char(last_attempt_at, 'YYYYMMDDHH24MISSUS') || coalesce(last_reply, '')
               COLLATE \"C\") AS last_said
    FROM queue.unit
    WHERE $1::bigint IS NULL OR tenant = $1
    GROUP BY tenant, domain
)
SELECT l.tenant, l.domain, l.units, l.recipients, l.ready, l.leased, l.deferred, l.held, l.oldest,
       l.last_attempt_at, nullif(substr(l.last_said, 21), '') AS last_reply,
       d.suspended_until, coalesce(d.failures, 0) AS failures, d.last_reply AS suspension
FROM load AS l
LEFT JOIN queue.destination AS d ON d.tenant = l.tenant AND d.domain = l.domain
ORDER BY CASE WHEN $2 THEN l.oldest END, l.units DESC, l.tenant, l.domain
LIMIT $3
";

from_row! {
    struct TopRow {
        tenant: i64,
        domain: String,
        units: i64,
        recipients: i64,
        ready: i64,
        leased: i64,
        deferred: i64,
        held: i64,
        oldest: String,
        last_attempt_at: Option<OffsetDateTime>,
        last_reply: Option<String>,
        suspended_until: Option<OffsetDateTime>,
        failures: i32,
        suspension: Option<String>,
    }
}

impl TopRow {
    /// None for what no program of ours wrote.
    fn into_load(self) -> Option<DestinationLoad> {
        let oldest: QueueId = self.oldest.parse().ok()?;
        Some(DestinationLoad {
            destination: DestinationKey {
                tenant: Tenant(self.tenant),
                domain: self.domain,
            },
            units: self.units,
            recipients: self.recipients,
            ready: self.ready,
            leased: self.leased,
            deferred: self.deferred,
            held: self.held,
            oldest_at: oldest.created_at(),
            last_attempt_at: self.last_attempt_at,
            last_reply: self.last_reply,
            suspended_until: self.suspended_until,
            failures: self.failures,
            suspension: self.suspension,
        })
    }
}

impl Queue {
    /// The destinations with the most mail, or the oldest. Reads every unit: not for hot paths.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn top(
        &self,
        tenant: Option<Tenant>,
        order: TopOrder,
        limit: u32,
    ) -> Result<Vec<DestinationLoad>, QueueError> {
        let query = sqlx::query(TOP)
            .bind(tenant.map(|tenant| tenant.0))
            .bind(order == TopOrder::Age)
            .bind(i64::from(limit));
        let mut patient = Patient::reading_whole_tables(self).await?;
        let rows: Vec<TopRow> = patient.fetch_all(query).await?;
        Ok(rows.into_iter().filter_map(TopRow::into_load).collect())
    }
}
