//! Units whose attempts may take relays down with them: attempted alone.

use crate::claim::Claimer;
use crate::error::QueueError;
use crate::lease::LeasedUnit;
use crate::lookup::at_message;
use crate::rows::{LeasedRow, leased_columns, unit_id};

/// From so many unclean takeovers on a unit is attempted alone.
pub const SUSPECT_TAKEOVERS: i16 = 2;

/// With so many unclean takeovers a unit is held.
pub(crate) const HELD_TAKEOVERS: i16 = 4;

/// The suspect that waits longest. A suspended destination's wait until a probe is due; then they
/// are as good a probe as any. Usually an empty index is all this looks at.
const FIND_SUSPECT: &str = "
SELECT u.message, u.number
FROM queue.unit AS u
LEFT JOIN queue.destination AS d ON d.tenant = u.tenant AND d.domain = u.domain
WHERE u.state = 'ready' AND u.unclean_takeovers >= 2
  AND (d.suspended_until IS NULL OR d.suspended_until <= now())
ORDER BY u.shard, u.due_at
LIMIT 1
";

/// Leases a suspect, if it is still there to be had and its new holder has no other.
pub(crate) const TAKE_SUSPECT: &str = concat!(
    "
WITH u AS (
    UPDATE queue.unit AS u
    SET state = 'leased', holder = $4, leased_at = now(), attempt = u.attempt + 1
    WHERE u.shard = $1 AND u.message = $2 AND u.number = $3
      AND u.state = 'ready' AND u.unclean_takeovers >= 2
    RETURNING u.*
)
SELECT ",
    leased_columns!(),
    "
FROM u JOIN queue.message AS m ON ",
    at_message!("m", "u.shard", "u.message")
);

impl Claimer {
    /// Leases one unit that may be what killed the relays that held it. The caller asks for the
    /// next one only when this one is completed, so that the innocent among them are never again
    /// in the hands of a relay that dies.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn claim_suspect(&self) -> Result<Option<LeasedUnit>, QueueError> {
        let found: Option<(sqlx::types::Uuid, i32)> =
            self.queue.fetch_optional(sqlx::query(FIND_SUSPECT)).await?;
        let Some(unit) = found.and_then(|(message, number)| unit_id(message, number)) else {
            return Ok(None);
        };
        let take = sqlx::query(TAKE_SUSPECT)
            .bind(unit.queue_id.shard().column())
            .bind(unit.queue_id.as_uuid())
            .bind(unit.number)
            .bind(self.holder.0);
        let taken: Option<LeasedRow> = self.queue.fetch_optional(take).await?;
        Ok(taken.and_then(|row| row.into_unit(false)))
    }
}
