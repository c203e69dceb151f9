//! Destinations that are suspended: one row each, however much mail waits for them.

use std::time::Duration;

use time::OffsetDateTime;

use crate::columns::one_line;
use crate::database::Queue;
use crate::error::QueueError;
use crate::ids::{DestinationKey, Tenant};
use crate::statement::from_row;

/// A destination that gets no mail for now, or little.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Whose mail to where.
    pub destination: DestinationKey,
    /// When the next probe is due; none while the destination ramps up after a success.
    pub until: Option<OffsetDateTime>,
    /// Failures in a row.
    pub failures: i32,
    /// What was answered last: one line.
    pub last_reply: String,
    /// The route that failed, in the relay's words.
    pub route: String,
}

/// A failure of a destination's hosts, or of a session with them; never a recipient's.
#[derive(Clone, Copy, Debug)]
pub struct DestinationFailure<'a> {
    /// What was answered: one line.
    pub reply: &'a str,
    /// The route that was taken, in the relay's words: should it change, the destination is to be
    /// opened.
    pub route: &'a str,
    /// How long to suspend after a first failure. Doubles with each further one.
    pub first_pause: Duration,
    /// How long to suspend at most.
    pub longest_pause: Duration,
}

/// One outage makes many attempts fail at once. It counts once: as long as the suspension lasts,
/// further failures only bring news of the reply.
const SUSPEND: &str = "
INSERT INTO queue.destination AS d
    (tenant, domain, failures, last_failure_at, last_reply, route, suspended_until)
VALUES ($1, $2, 1, now(), $3, $4, now() + $5::interval * (0.8 + 0.4 * random()))
ON CONFLICT (tenant, domain) DO UPDATE
SET failures = d.failures + CASE WHEN d.suspended_until > now() THEN 0 ELSE 1 END,
    suspended_until = CASE
        WHEN d.suspended_until > now() THEN d.suspended_until
        ELSE now() + least($5::interval * power(2, least(d.failures, 20)), $6::interval) * (0.8 + 0.4 * random())
    END,
    last_failure_at = now(), last_reply = EXCLUDED.last_reply, route = EXCLUDED.route,
    ramp = NULL, probe_holder = NULL, probe_started_at = NULL
RETURNING tenant, domain, suspended_until, failures, last_reply, route
";

/// The first success opens a crack, one unit a claim; each further one doubles it.
const NOTE_SUCCESS: &str = "
UPDATE queue.destination AS d
SET ramp = CASE WHEN d.suspended_until IS NOT NULL THEN 1
                WHEN d.ramp < 256 THEN d.ramp * 2 END,
    suspended_until = NULL, probe_holder = NULL, probe_started_at = NULL
WHERE tenant = $1 AND domain = $2
RETURNING ramp IS NULL
";

const OPEN: &str = "
UPDATE queue.destination
SET suspended_until = NULL, ramp = NULL, probe_holder = NULL, probe_started_at = NULL
WHERE tenant = $1 AND domain = $2
";

const SUSPENSIONS: &str = "
SELECT tenant, domain, suspended_until, failures, last_reply, route
FROM queue.destination
WHERE suspended_until IS NOT NULL OR ramp IS NOT NULL
ORDER BY tenant, domain
LIMIT $1
";

from_row! {
    struct SuspensionRow {
        tenant: i64,
        domain: String,
        suspended_until: Option<OffsetDateTime>,
        failures: i32,
        last_reply: String,
        route: String,
    }
}

impl From<SuspensionRow> for Suspension {
    fn from(row: SuspensionRow) -> Self {
        Self {
            destination: DestinationKey {
                tenant: Tenant(row.tenant),
                domain: row.domain,
            },
            until: row.suspended_until,
            failures: row.failures,
            last_reply: row.last_reply,
            route: row.route,
        }
    }
}

impl Queue {
    /// Suspends a destination, or suspends it for longer; tells what results.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn suspend(
        &self,
        destination: &DestinationKey,
        failure: DestinationFailure<'_>,
    ) -> Result<Suspension, QueueError> {
        let query = sqlx::query(SUSPEND)
            .bind(destination.tenant.0)
            .bind(&destination.domain)
            .bind(one_line(failure.reply))
            .bind(one_line(failure.route))
            .bind(failure.first_pause)
            .bind(failure.longest_pause);
        let row: SuspensionRow = self.fetch_one(query).await?;
        Ok(row.into())
    }

    /// Notes a success at a destination that was suspended or is ramping up. Tells whether it is
    /// fully open now, so that its successes need no further noting.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn note_success(&self, destination: &DestinationKey) -> Result<bool, QueueError> {
        let query = sqlx::query(NOTE_SUCCESS)
            .bind(destination.tenant.0)
            .bind(&destination.domain);
        let open: Option<(bool,)> = self.fetch_optional(query).await?;
        Ok(open.is_none_or(|(open,)| open))
    }

    /// Opens a destination at once, without ramp: its route has changed, or an operator says so.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn open(&self, destination: &DestinationKey) -> Result<(), QueueError> {
        let query = sqlx::query(OPEN)
            .bind(destination.tenant.0)
            .bind(&destination.domain);
        self.execute(query).await?;
        Ok(())
    }

    /// All suspended and ramping destinations, at most `limit`.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn suspensions(&self, limit: u32) -> Result<Vec<Suspension>, QueueError> {
        let query = sqlx::query(SUSPENSIONS).bind(i64::from(limit));
        let rows: Vec<SuspensionRow> = self.fetch_all(query).await?;
        Ok(rows.into_iter().map(Suspension::from).collect())
    }
}
