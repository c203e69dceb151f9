//! All that is known of one message.

use sqlx::FromRow;
use sqlx::types::Uuid;
use time::OffsetDateTime;

use crate::admin::{Filter, QueuedUnit, UnitState};
use crate::connection::answered;
use crate::database::Queue;
use crate::error::QueueError;
use crate::ids::QueueId;

/// All that is known of one message.
#[derive(Clone, Debug)]
pub struct MessageDetail {
    /// Its name.
    pub queue_id: QueueId,
    /// Where it came from, as long as it is queued.
    pub origin: Option<QueuedOrigin>,
    /// The units that are still queued.
    pub units: Vec<QueuedUnit>,
    /// The journal, oldest first.
    pub attempts: Vec<AttemptRecord>,
}

/// Where a queued message came from.
#[derive(Clone, Debug, FromRow)]
pub struct QueuedOrigin {
    /// Who queued it: `submission`, `inbound`, `outbound` or `delivery`.
    pub service: String,
    /// The client's address.
    pub client: Option<String>,
    /// The argument of the client's EHLO or HELO.
    pub hello: Option<String>,
    /// The account that was logged in.
    pub login: Option<String>,
    /// TLS version and cipher of the client's session.
    pub tls: Option<String>,
    /// The trace of its acceptance.
    pub traceparent: String,
}

/// A line of the journal.
#[derive(Clone, Debug, FromRow)]
pub struct AttemptRecord {
    /// When.
    pub at: OffsetDateTime,
    /// The number of the unit.
    pub unit: i32,
    /// Which attempt.
    pub attempt: i32,
    /// The machine that made it.
    pub node: String,
    /// Who was concerned.
    pub recipients: Vec<String>,
    /// The name of the host that was tried.
    pub host: Option<String>,
    /// Its address.
    pub host_address: Option<String>,
    /// TLS version and cipher, or why there was none.
    pub tls: Option<String>,
    /// How it ended.
    pub outcome: String,
    /// The enhanced status.
    pub status: String,
    /// The far end's words, or ours.
    pub reply: String,
    /// How long it took, in milliseconds.
    pub duration_ms: i32,
    /// Whether the lease was no longer held, so that nothing else was recorded.
    pub fenced: bool,
}

const ORIGIN: &str = "
SELECT service, host(client) AS client, hello, login, tls, traceparent
FROM queue.message
WHERE shard = $1 AND id = $2
";

const ATTEMPTS: &str = "
SELECT at, unit, attempt, node, queue.address_texts(recipients) AS recipients, host,
       host(host_address) AS host_address, tls, outcome, status, reply, duration_ms, fenced
FROM queue.attempt
WHERE message = $1
ORDER BY at, unit, attempt
LIMIT $2
";

/// Most units, and most lines of the journal, that are shown.
const MOST: u32 = 10_000;

impl Queue {
    /// All that is known of one message; none when neither queue nor journal knows it.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn show(&self, queue_id: QueueId) -> Result<Option<MessageDetail>, QueueError> {
        let id: Uuid = queue_id.as_uuid();
        let origin = sqlx::query_as(ORIGIN)
            .bind(queue_id.shard().column())
            .bind(id);
        let origin: Option<QueuedOrigin> = answered(origin.fetch_optional(self.pool())).await?;
        let attempts = sqlx::query_as(ATTEMPTS).bind(id).bind(i64::from(MOST));
        let attempts: Vec<AttemptRecord> = answered(attempts.fetch_all(self.pool())).await?;
        if origin.is_none() && attempts.is_empty() {
            return Ok(None);
        }
        let filter = Filter {
            queue_id: Some(queue_id),
            ..Filter::default()
        };
        Ok(Some(MessageDetail {
            queue_id,
            origin,
            units: self.list(&filter, &UnitState::ALL, None, MOST).await?,
            attempts,
        }))
    }
}
