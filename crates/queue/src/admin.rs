//! What operators see of the queue.

use smtp::{Mailbox, ReversePath};
use sqlx::types::Uuid;
use time::OffsetDateTime;

use crate::database::Queue;
use crate::error::QueueError;
use crate::ids::{IncarnationId, QueueId, Tenant, UnitId};
use crate::lookup::{at_message, at_unit};
use crate::patient::Patient;
use crate::rows::{mailbox, reverse_path, unit_id};
use crate::statement::from_row;

/// Where a unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnitState {
    /// To be attempted by the next relay that has room.
    Ready,
    /// In the hands of a relay.
    Leased,
    /// To be tried again later.
    Deferred,
    /// Kept until an operator releases it.
    Held,
}

impl UnitState {
    /// The word that stands in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Leased => "leased",
            Self::Deferred => "deferred",
            Self::Held => "held",
        }
    }
}

/// The way back from [`UnitState::as_str`].
fn state(word: &str) -> Option<UnitState> {
    match word {
        "ready" => Some(UnitState::Ready),
        "leased" => Some(UnitState::Leased),
        "deferred" => Some(UnitState::Deferred),
        "held" => Some(UnitState::Held),
        _ => None,
    }
}

/// Which units are meant: those that fit every field that is given; all when none is.
///
/// In patterns `*` stands for any characters and `?` for one; case doesn't matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The units of one message.
    pub queue_id: Option<QueueId>,
    /// The units of one tenant.
    pub tenant: Option<Tenant>,
    /// The units of one routing domain.
    pub domain: Option<String>,
    /// A pattern that the reverse-path fits (without angle brackets; empty for the null path).
    pub sender: Option<String>,
    /// A pattern that a recipient fits.
    pub recipient: Option<String>,
    /// The state.
    pub state: Option<UnitState>,
}

/// Where a bounded call ended; the next one goes on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitPosition(pub UnitId);

/// A unit, as an operator sees it.
#[derive(Clone, Debug)]
pub struct QueuedUnit {
    /// Its name.
    pub unit: UnitId,
    /// Whose mail it is.
    pub tenant: Tenant,
    /// The routing domain.
    pub domain: String,
    /// Where it stands.
    pub state: UnitState,
    /// Where failures are reported to.
    pub reverse_path: ReversePath,
    /// Who still waits for it.
    pub recipients: Vec<Mailbox>,
    /// Size of the content in octets.
    pub size: u64,
    /// When the message was accepted.
    pub accepted_at: OffsetDateTime,
    /// When it became ready, or is to be tried again.
    pub due_at: OffsetDateTime,
    /// When it is given up.
    pub expires_at: OffsetDateTime,
    /// Attempts so far; those that were given back untried don't count.
    pub attempts: i32,
    /// Who holds the lease.
    pub holder: Option<IncarnationId>,
    /// When it was attempted last.
    pub last_attempt_at: Option<OffsetDateTime>,
    /// The enhanced status of the last attempt.
    pub last_status: Option<String>,
    /// What was answered last, or why it is held.
    pub last_reply: Option<String>,
}

/// How much is queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueCount {
    /// Whose mail.
    pub tenant: Tenant,
    /// In which state.
    pub state: UnitState,
    /// Units.
    pub units: i64,
    /// Recipients in them.
    pub recipients: i64,
}

const LIST: &str = concat!(
    "
SELECT u.message, u.number, u.tenant, u.domain, u.state::text AS state, m.reverse_path,
       u.recipients, m.size, m.accepted_at, u.due_at, u.expires_at, u.tries, u.holder,
       u.last_attempt_at, u.last_status, u.last_reply
FROM queue.find($1, $2, $3, $4, $5, $6::text::queue.unit_state,
                enum_range(NULL::queue.unit_state), $7, $8, $9) AS f
JOIN queue.unit AS u ON ",
    at_unit!("u", "f.shard", "f.message, f.number"),
    "
JOIN queue.message AS m ON ",
    at_message!("m", "f.shard", "f.message"),
    "
ORDER BY f.shard, f.message, f.number
"
);

const COUNTS: &str = "
SELECT tenant, state::text, count(*), sum(cardinality(recipients))::bigint
FROM queue.unit
GROUP BY tenant, state
ORDER BY tenant, state
";

from_row! {
    struct ListRow {
        message: Uuid,
        number: i32,
        tenant: i64,
        domain: String,
        state: String,
        reverse_path: Vec<u8>,
        recipients: Vec<Vec<u8>>,
        size: i64,
        accepted_at: OffsetDateTime,
        due_at: OffsetDateTime,
        expires_at: OffsetDateTime,
        tries: i32,
        holder: Option<i64>,
        last_attempt_at: Option<OffsetDateTime>,
        last_status: Option<String>,
        last_reply: Option<String>,
    }
}

impl ListRow {
    /// None for what no program of ours wrote.
    fn into_unit(self) -> Option<QueuedUnit> {
        let recipients = self.recipients.iter();
        Some(QueuedUnit {
            unit: unit_id(self.message, self.number)?,
            tenant: Tenant(self.tenant),
            domain: self.domain,
            state: state(&self.state)?,
            reverse_path: reverse_path(&self.reverse_path)?,
            recipients: recipients.filter_map(|address| mailbox(address)).collect(),
            size: u64::try_from(self.size).ok()?,
            accepted_at: self.accepted_at,
            due_at: self.due_at,
            expires_at: self.expires_at,
            attempts: self.tries,
            holder: self.holder.map(IncarnationId),
            last_attempt_at: self.last_attempt_at,
            last_status: self.last_status,
            last_reply: self.last_reply,
        })
    }
}

impl Queue {
    /// Lists units, oldest message first within a shard, at most `limit`. The last one's name as
    /// `after` goes on.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn list(
        &self,
        filter: &Filter,
        after: Option<UnitPosition>,
        limit: u32,
    ) -> Result<Vec<QueuedUnit>, QueueError> {
        let query = sqlx::query(LIST)
            .bind(filter.queue_id.map(|id| id.as_uuid()))
            .bind(filter.tenant.map(|tenant| tenant.0))
            .bind(filter.domain.as_deref())
            .bind(filter.sender.as_deref())
            .bind(filter.recipient.as_deref())
            .bind(filter.state.map(UnitState::as_str))
            .bind(after.map(|position| position.0.queue_id.as_uuid()))
            .bind(after.map(|position| position.0.number))
            .bind(i64::from(limit));
        let rows: Vec<ListRow> = Patient::begin(self).await?.fetch_all(query).await?;
        Ok(rows.into_iter().filter_map(ListRow::into_unit).collect())
    }

    /// Counts units by tenant and state. Counts the whole queue: not for hot paths.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn counts(&self) -> Result<Vec<QueueCount>, QueueError> {
        let mut patient = Patient::reading_whole_tables(self).await?;
        let rows: Vec<(i64, String, i64, i64)> = patient.fetch_all(sqlx::query(COUNTS)).await?;
        let counts = rows
            .into_iter()
            .filter_map(|(tenant, state, units, recipients)| {
                Some(QueueCount {
                    tenant: Tenant(tenant),
                    state: self::state(&state)?,
                    units,
                    recipients,
                })
            });
        Ok(counts.collect())
    }
}
