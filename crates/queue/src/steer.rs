//! Steering: hold, release, flush, cancel. The work is done by functions in the database, which
//! operators may call by hand as well.

use sqlx::types::Uuid;

use crate::admin::{Filter, UnitPosition, UnitState};
use crate::database::Queue;
use crate::error::QueueError;
use crate::patient::Patient;
use crate::rows::unit_id;
use crate::statement::{Statement, from_row};

/// What a bounded steering call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steered {
    /// Units (of `cancel`: recipients) that were changed.
    pub changed: u64,
    /// Units that a relay holds right now: what is being sent cannot be called back. Hold and
    /// cancel mark them, so that they are held should this attempt not deliver them; release
    /// takes the mark off again; flush passes over them.
    pub leased: u64,
    /// Where to go on, unless everything was looked at.
    pub next: Option<UnitPosition>,
}

from_row! {
    struct SteeredRow {
        changed: i64,
        leased: i64,
        last_message: Option<Uuid>,
        last_number: Option<i32>,
    }
}

impl From<SteeredRow> for Steered {
    fn from(row: SteeredRow) -> Self {
        let last = row.last_message.zip(row.last_number);
        Self {
            changed: u64::try_from(row.changed).unwrap_or(0),
            leased: u64::try_from(row.leased).unwrap_or(0),
            next: last
                .and_then(|(message, number)| unit_id(message, number))
                .map(UnitPosition),
        }
    }
}

const FLUSH: &str = "
SELECT * FROM queue.flush(queue_id => $1, tenant => $2, domain => $3, sender => $4,
    recipient => $5, state => $6::text::queue.unit_state, everything => true,
    after_message => $7, after_number => $8, most => $9)
";

const HOLD: &str = "
SELECT * FROM queue.hold(queue_id => $1, tenant => $2, domain => $3, sender => $4,
    recipient => $5, state => $6::text::queue.unit_state, everything => true,
    after_message => $7, after_number => $8, most => $9, reason => $10)
";

const RELEASE: &str = "
SELECT * FROM queue.release(queue_id => $1, tenant => $2, domain => $3, sender => $4,
    recipient => $5, state => $6::text::queue.unit_state, everything => true,
    after_message => $7, after_number => $8, most => $9)
";

const CANCEL: &str = "
SELECT * FROM queue.cancel(queue_id => $1, tenant => $2, domain => $3, sender => $4,
    recipient => $5, state => $6::text::queue.unit_state, everything => true,
    after_message => $7, after_number => $8, most => $9)
";

impl Queue {
    /// Makes deferred units due now, and opens their destinations.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn flush(
        &self,
        filter: &Filter,
        after: Option<UnitPosition>,
        limit: u32,
    ) -> Result<Steered, QueueError> {
        self.steer(selecting(FLUSH, filter, after, limit)).await
    }

    /// Holds units: they are neither attempted nor do they expire until they are released.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn hold(
        &self,
        filter: &Filter,
        reason: &str,
        after: Option<UnitPosition>,
        limit: u32,
    ) -> Result<Steered, QueueError> {
        self.steer(selecting(HOLD, filter, after, limit).bind(reason))
            .await
    }

    /// Releases held units. Each gets at least one attempt, even if its time was up meanwhile.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn release(
        &self,
        filter: &Filter,
        after: Option<UnitPosition>,
        limit: u32,
    ) -> Result<Steered, QueueError> {
        self.steer(selecting(RELEASE, filter, after, limit)).await
    }

    /// Removes recipients from the queue without a report to the sender. With a recipient
    /// pattern only those that fit, else all of a unit.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn cancel(
        &self,
        filter: &Filter,
        after: Option<UnitPosition>,
        limit: u32,
    ) -> Result<Steered, QueueError> {
        self.steer(selecting(CANCEL, filter, after, limit)).await
    }

    async fn steer(&self, call: Statement<'_>) -> Result<Steered, QueueError> {
        let row: SteeredRow = Patient::begin(self).await?.change(call).await?;
        Ok(row.into())
    }
}

/// Binds what all of the calls have in common.
fn selecting<'q>(
    call: &'static str,
    filter: &'q Filter,
    after: Option<UnitPosition>,
    limit: u32,
) -> Statement<'q> {
    sqlx::query(call)
        .bind(filter.queue_id.map(|id| id.as_uuid()))
        .bind(filter.tenant.map(|tenant| tenant.0))
        .bind(filter.domain.as_deref())
        .bind(filter.sender.as_deref())
        .bind(filter.recipient.as_deref())
        .bind(filter.state.map(UnitState::as_str))
        .bind(after.map(|position| position.0.queue_id.as_uuid()))
        .bind(after.map(|position| position.0.number))
        .bind(i32::try_from(limit).unwrap_or(i32::MAX))
}
