//! How much is queued and how long it waits, for the fleet's metrics.

use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};

use crate::database::Queue;
use crate::error::QueueError;
use crate::ids::IncarnationId;
use crate::patient::Patient;

/// Where the units of the queue stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Census {
    /// `ready`, `suspended` (ready, but their destination rests), `leased`, `deferred` or `held`.
    pub state: &'static str,
    /// How many there are.
    pub units: i64,
    /// Seconds since the first of them became due, or was leased; 0 if it is not due yet.
    pub oldest_seconds: f64,
}

const STATES: [&str; 5] = ["ready", "suspended", "leased", "deferred", "held"];

/// One pass over all units. Only the relay that has been running for longest makes it, so that a
/// fleet pays for it once; others get no rows.
const COUNT: &str = "
SELECT state, count(u.due_at) AS units,
       coalesce(extract(epoch FROM now() - min(coalesce(u.leased_at, u.due_at))), 0)::float8 AS oldest
FROM unnest($2::text[]) AS state
LEFT JOIN (
    SELECT CASE WHEN u.state = 'ready' AND d.suspended_until IS NOT NULL THEN 'suspended'
                ELSE u.state::text END AS state,
           u.due_at, u.leased_at
    FROM queue.unit AS u
    LEFT JOIN queue.destination AS d ON d.tenant = u.tenant AND d.domain = u.domain
) AS u USING (state)
WHERE $1 = (SELECT min(id) FROM queue.live_incarnation)
GROUP BY state
";

struct CensusRow(Option<Census>);

impl FromRow<'_, PgRow> for CensusRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let state: String = row.try_get("state")?;
        let (units, oldest) = (row.try_get("units")?, row.try_get::<f64, _>("oldest")?);
        let known = STATES.into_iter().find(|known| *known == state);
        Ok(Self(known.map(|state| Census {
            state,
            units,
            oldest_seconds: oldest.max(0.0),
        })))
    }
}

impl Queue {
    /// Counts what is queued, by state, if `incarnation` is the one whose turn it is: the oldest
    /// that lives. Else nothing. Reads the whole table of units: to be called now and then, the
    /// less often the longer it takes.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn census(&self, incarnation: IncarnationId) -> Result<Vec<Census>, QueueError> {
        let mut patient = Patient::reading_whole_tables(self).await?;
        let query = sqlx::query(COUNT).bind(incarnation.0).bind(&STATES[..]);
        let rows: Vec<CensusRow> = patient.fetch_all(query).await?;
        Ok(rows
            .into_iter()
            .filter_map(|CensusRow(census)| census)
            .collect())
    }
}
