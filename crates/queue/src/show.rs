//! All that is known of one message.

use sqlx::types::Uuid;
use time::OffsetDateTime;

use crate::admin::{Filter, QueuedUnit};
use crate::content::Content;
use crate::database::Queue;
use crate::error::QueueError;
use crate::ids::{IncarnationId, QueueId, UnitId};
use crate::message_id::{SEARCHED, for_journal};
use crate::statement::from_row;

/// All that is known of one message. Once it has left the queue, only the journal tells of it.
#[derive(Clone, Debug)]
pub struct MessageDetail {
    /// Its name.
    pub queue_id: QueueId,
    /// Who queued it (`submission`, `inbound`, `outbound` or `delivery`), while it is queued.
    pub service: Option<String>,
    /// The client's address, while it is queued.
    pub client: Option<String>,
    /// The argument of the client's EHLO or HELO, while it is queued.
    pub hello: Option<String>,
    /// The account that was logged in, while it is queued.
    pub login: Option<String>,
    /// TLS version and cipher of the client's session, while it is queued.
    pub tls: Option<String>,
    /// The trace of its acceptance.
    pub trace: String,
    /// Where failures are reported to; empty for the null path.
    pub reverse_path: String,
    /// Its Message-ID without angle brackets, where it is known and not made of the queue id.
    pub message_id: Option<String>,
    /// The units that are still queued.
    pub units: Vec<QueuedUnit>,
    /// The journal, oldest first.
    pub attempts: Vec<AttemptRecord>,
    /// The reports on its failures, as far as they are known.
    pub notifications: Vec<QueueId>,
}

from_row! {
    struct OriginRow {
        service: String,
        client: Option<String>,
        hello: Option<String>,
        login: Option<String>,
        tls: Option<String>,
        traceparent: String,
        reverse_path: String,
        header: Option<Vec<u8>>,
    }
}

impl OriginRow {
    fn message_id(&mut self, queue_id: QueueId) -> Option<String> {
        let header = Content::from(self.header.take()?);
        for_journal(queue_id, Some(&header))
    }
}

/// A line of the journal.
#[derive(Clone, Debug)]
pub struct AttemptRecord {
    /// When.
    pub at: OffsetDateTime,
    /// At which unit.
    pub unit: UnitId,
    /// Which attempt.
    pub attempt: i32,
    /// The machine that made it.
    pub node: String,
    /// The relay that held the lease.
    pub incarnation: IncarnationId,
    /// The routing domain.
    pub domain: String,
    /// Who was concerned.
    pub recipients: Vec<String>,
    /// The address that the connection was made from.
    pub source_address: Option<String>,
    /// The name and address of the host that was tried.
    pub host: Option<String>,
    /// TLS version and cipher, or why there was none.
    pub tls: Option<String>,
    /// How it ended.
    pub outcome: String,
    /// The enhanced status.
    pub status: String,
    /// The far end's words, or ours.
    pub reply: String,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// From acceptance to its end, in milliseconds.
    pub delay_ms: i64,
    /// Whether the lease was no longer held, so that nothing else was recorded.
    pub fenced: bool,
}

impl AttemptRecord {
    /// Whether recipients were given up in it, which their sender is told.
    #[must_use]
    pub fn is_final_failure(&self) -> bool {
        matches!(self.outcome.as_str(), "failed" | "expired")
    }
}

from_row! {
    struct AttemptRow {
        at: OffsetDateTime,
        unit: i32,
        attempt: i32,
        node: String,
        incarnation: i64,
        domain: String,
        reverse_path: String,
        recipients: Vec<String>,
        source_address: Option<String>,
        host: Option<String>,
        tls: Option<String>,
        outcome: String,
        status: String,
        reply: String,
        duration_ms: i64,
        delay_ms: i64,
        fenced: bool,
        traceparent: String,
        message_id: Option<String>,
    }
}

impl AttemptRow {
    fn into_record(self, queue_id: QueueId) -> AttemptRecord {
        AttemptRecord {
            at: self.at,
            unit: UnitId {
                queue_id,
                number: self.unit,
            },
            attempt: self.attempt,
            node: self.node,
            incarnation: IncarnationId(self.incarnation),
            domain: self.domain,
            source_address: self.source_address,
            recipients: self.recipients,
            host: self.host,
            tls: self.tls,
            outcome: self.outcome,
            status: self.status,
            reply: self.reply,
            duration_ms: self.duration_ms,
            delay_ms: self.delay_ms,
            fenced: self.fenced,
        }
    }
}

const ORIGIN: &str = "
SELECT m.service, host(m.client) AS client, m.hello, m.login, m.tls, m.traceparent,
       queue.address_text(m.reverse_path) AS reverse_path,
       substring(coalesce(m.content, (SELECT c.data FROM queue.content AS c
                                      WHERE c.shard = m.shard AND c.id = m.id)) FROM 1 FOR $3)
           AS header
FROM queue.message AS m
WHERE m.shard = $1 AND m.id = $2
";

const ATTEMPTS: &str = "
SELECT at, unit, attempt, node, incarnation, domain,
       queue.address_text(reverse_path) AS reverse_path,
       queue.address_texts(recipients) AS recipients, host(source_address) AS source_address,
       host || coalesce(' [' || host(host_address) || ']', '') AS host,
       tls, outcome, status, reply, duration_ms::bigint, delay_ms, fenced, traceparent, message_id
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
        let origin = sqlx::query(ORIGIN)
            .bind(queue_id.shard().column())
            .bind(id)
            .bind(i32::try_from(SEARCHED).unwrap_or(i32::MAX));
        let mut origin: Option<OriginRow> = self.fetch_optional(origin).await?;
        let attempts = sqlx::query(ATTEMPTS).bind(id).bind(i64::from(MOST));
        let attempts: Vec<AttemptRow> = self.fetch_all(attempts).await?;
        let queued = origin.as_ref();
        let journalled = attempts.first();
        let known = queued
            .map(|origin| (&origin.traceparent, &origin.reverse_path))
            .or_else(|| journalled.map(|attempt| (&attempt.traceparent, &attempt.reverse_path)));
        let Some((trace, reverse_path)) = known else {
            return Ok(None);
        };
        let (trace, reverse_path) = (trace.clone(), reverse_path.clone());
        let message_id = attempts
            .iter()
            .find_map(|attempt| attempt.message_id.clone())
            .or_else(|| origin.as_mut()?.message_id(queue_id));
        let attempts: Vec<AttemptRecord> = attempts
            .into_iter()
            .map(|attempt| attempt.into_record(queue_id))
            .collect();
        let filter = Filter {
            queue_id: Some(queue_id),
            ..Filter::default()
        };
        Ok(Some(MessageDetail {
            queue_id,
            service: origin.as_ref().map(|origin| origin.service.clone()),
            client: origin.as_ref().and_then(|origin| origin.client.clone()),
            hello: origin.as_ref().and_then(|origin| origin.hello.clone()),
            login: origin.as_ref().and_then(|origin| origin.login.clone()),
            tls: origin.and_then(|origin| origin.tls),
            notifications: self.notifications(queue_id, &trace, &attempts).await?,
            trace,
            reverse_path,
            message_id,
            units: self.list(&filter, None, MOST).await?,
            attempts,
        }))
    }
}
