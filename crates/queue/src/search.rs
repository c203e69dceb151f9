//! Finding messages by what people know of them: an address or a Message-ID, also when they are
//! gone from the queue.
//!
//! The journal has no index for it, since each would cost every attempt: a search reads the
//! partitions of the days that it is about. Operators have time; mail has not.

use smtp::ReversePath;
use sqlx::types::Uuid;
use time::OffsetDateTime;

use crate::content::Content;
use crate::database::Queue;
use crate::error::QueueError;
use crate::ids::QueueId;
use crate::message_id::{SEARCHED, message_id, of_our_making};
use crate::patient::Patient;
use crate::show::AttemptRecord;
use crate::statement::from_row;

/// Most queued messages whose header is looked at more closely.
const CANDIDATES: i64 = 1_000;

/// Newest first. Of what is queued all is looked at, however old: somebody still waits for it.
const BY_ADDRESS: &str = "
WITH seen AS (
    SELECT message, at
    FROM queue.attempt
    WHERE at >= $2
      AND (queue.address_text(reverse_path) ILIKE $1
           OR EXISTS (SELECT FROM unnest(recipients) AS address
                      WHERE queue.address_text(address) ILIKE $1))
    UNION ALL
    SELECT u.message, m.accepted_at
    FROM queue.unit AS u
    JOIN queue.message AS m ON m.shard = u.shard AND m.id = u.message
    WHERE queue.address_text(m.reverse_path) ILIKE $1
       OR EXISTS (SELECT FROM unnest(u.recipients) AS address
                  WHERE queue.address_text(address) ILIKE $1)
)
SELECT message FROM seen GROUP BY message ORDER BY max(at) DESC, message DESC LIMIT $3
";

const BY_MESSAGE_ID: &str = "
SELECT message
FROM queue.attempt
WHERE at >= $2 AND message_id = $1
GROUP BY message ORDER BY max(at) DESC, message DESC LIMIT $3
";

/// What is queued and was not attempted yet is in no journal, and its header is read. A Message-ID
/// stands in the answers to a message as well, so that these are candidates only.
const QUEUED_CANDIDATES: &str = "
SELECT id, substring(content FROM 1 FOR $2) AS header FROM queue.message
WHERE content IS NOT NULL AND position($1 IN substring(content FROM 1 FOR $2)) > 0
UNION ALL
SELECT id, substring(data FROM 1 FOR $2) FROM queue.content
WHERE position($1 IN substring(data FROM 1 FOR $2)) > 0
LIMIT $3
";

/// A notification shares the trace of the message that it is about, and its shard; its name was
/// made when the failure was found, shortly before that was recorded.
const NOTIFICATIONS: &str = "
SELECT id AS message FROM queue.message
WHERE shard = $1 AND id BETWEEN $2 AND $3 AND id <> $4 AND traceparent LIKE $5
  AND reverse_path = ''
UNION
SELECT message FROM queue.attempt
WHERE message BETWEEN $2 AND $3 AND message <> $4 AND traceparent LIKE $5 AND reverse_path = ''
LIMIT 100
";

/// How long before the record of a failure its notification may have been made, and how much later
/// a clock may say that it was.
const MADE_BEFORE: time::Duration = time::Duration::minutes(2);
const MADE_AFTER: time::Duration = time::Duration::minutes(1);

from_row! {
    struct CandidateRow {
        id: Uuid,
        header: Vec<u8>,
    }
}

/// What is searched for.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Attempts before are not looked at.
    pub since: OffsetDateTime,
    /// Most messages.
    pub limit: u32,
    /// An address or a pattern in which `*` stands for any characters and `?` for one; or a
    /// Message-ID.
    pub wanted: &'a str,
}

impl Queue {
    /// The messages from or to an address, without angle brackets, newest first. Reads the journal
    /// since then, and the queue: not for hot paths.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn find_by_address(&self, search: Search<'_>) -> Result<Vec<QueueId>, QueueError> {
        let query = sqlx::query(BY_ADDRESS)
            .bind(like_pattern(search.wanted))
            .bind(search.since)
            .bind(i64::from(search.limit));
        let rows: Vec<(Uuid,)> = Patient::reading_whole_tables(self)
            .await?
            .fetch_all(query)
            .await?;
        Ok(queue_ids(rows))
    }

    /// The messages with this Message-ID, without angle brackets, newest first. Reads the journal
    /// since then, and the headers of what is queued: not for hot paths.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn find_by_message_id(&self, search: Search<'_>) -> Result<Vec<QueueId>, QueueError> {
        let mut found: Vec<QueueId> = of_our_making(search.wanted).into_iter().collect();
        // First what is queued: a message goes from there into the journal, never back, so that
        // none slips through between the two.
        let queued = self.queued_with_message_id(search.wanted).await?;
        let query = sqlx::query(BY_MESSAGE_ID)
            .bind(search.wanted)
            .bind(search.since)
            .bind(i64::from(search.limit));
        let rows: Vec<(Uuid,)> = Patient::reading_whole_tables(self)
            .await?
            .fetch_all(query)
            .await?;
        found.extend(queue_ids(rows));
        found.extend(queued);
        let mut seen = std::collections::HashSet::new();
        found.retain(|id| seen.insert(*id));
        found.truncate(search.limit as usize);
        Ok(found)
    }

    async fn queued_with_message_id(&self, wanted: &str) -> Result<Vec<QueueId>, QueueError> {
        let query = sqlx::query(QUEUED_CANDIDATES)
            .bind(format!("<{wanted}>").into_bytes())
            .bind(i32::try_from(SEARCHED).unwrap_or(i32::MAX))
            .bind(CANDIDATES);
        let rows: Vec<CandidateRow> = Patient::reading_whole_tables(self)
            .await?
            .fetch_all(query)
            .await?;
        let found = rows.into_iter().filter_map(|row| {
            let id = message_id(&Content::from(row.header))?;
            (id == wanted).then(|| QueueId::try_from(row.id).ok())?
        });
        Ok(found.collect())
    }

    /// The reports on the failures among these attempts, as far as queue or journal know them.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub(crate) async fn notifications(
        &self,
        of: QueueId,
        trace: &str,
        attempts: &[AttemptRecord],
    ) -> Result<Vec<QueueId>, QueueError> {
        // The span may be another one, the trace is the same (W3C Trace Context §3.2).
        let Some(trace) = trace.get(..36) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        let failures = attempts
            .iter()
            .filter(|attempt| !attempt.fenced && attempt.is_final_failure());
        for failure in failures {
            let query = sqlx::query(NOTIFICATIONS)
                .bind(of.shard().column())
                .bind(name_at(failure.at - MADE_BEFORE, 0))
                .bind(name_at(failure.at + MADE_AFTER, u128::MAX))
                .bind(of.as_uuid())
                .bind(format!("{trace}%"));
            let rows: Vec<(Uuid,)> = self.fetch_all(query).await?;
            found.extend(queue_ids(rows));
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|id| id.shard() == of.shard());
        Ok(found)
    }
}

/// The first or last name that a message of that millisecond can have.
fn name_at(at: OffsetDateTime, rest: u128) -> Uuid {
    const TIME_BITS: u32 = 80;
    let milliseconds = u128::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    Uuid::from_u128(milliseconds << TIME_BITS | rest >> (u128::BITS - TIME_BITS))
}

fn queue_ids(rows: Vec<(Uuid,)>) -> Vec<QueueId> {
    let ids = rows.into_iter();
    ids.filter_map(|(id,)| QueueId::try_from(id).ok()).collect()
}

/// As `queue.glob` in the database, which would do it anew for each row.
fn like_pattern(pattern: &str) -> String {
    let pattern = match ReversePath::parse_path(pattern) {
        Ok(path) => path.as_address(),
        Err(_) => pattern.to_owned(),
    };
    let mut like = String::with_capacity(pattern.len());
    for c in pattern.chars() {
        match c {
            '\\' | '%' | '_' => like.extend(['\\', c]),
            '*' => like.push('%'),
            '?' => like.push('_'),
            _ => like.push(c),
        }
    }
    like
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_the_other_commands() {
        for (pattern, like) in [
            ("a_b@example.org", "a\\_b@example.org"),
            ("<a@example.org>", "a@example.org"),
            ("*@ex?mple.org", "%@ex_mple.org"),
            ("100%", "100\\%"),
        ] {
            assert_eq!(like_pattern(pattern), like);
        }
    }

    #[test]
    fn names_of_a_time_enclose_those_that_are_made_then() {
        let id = QueueId::generate(crate::ids::Shard::random());
        let at = id.created_at();
        assert!(name_at(at, 0) <= id.as_uuid() && id.as_uuid() <= name_at(at, u128::MAX));
        let later = name_at(at + time::Duration::milliseconds(1), 0);
        assert!(id.as_uuid() < later);
    }
}
