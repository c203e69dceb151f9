//! What operators see of the queue and do to it.

use smtp::{Mailbox, ReversePath};
use time::OffsetDateTime;

use crate::database::Queue;
use crate::error::QueueError;
use crate::ids::{IncarnationId, QueueId, Tenant, UnitId};

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
    /// When it is due.
    pub due_at: OffsetDateTime,
    /// When it is given up.
    pub expires_at: OffsetDateTime,
    /// Attempts so far.
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

/// All that is known of one message.
#[derive(Clone, Debug)]
pub struct MessageDetail {
    /// Its name.
    pub queue_id: QueueId,
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
    pub trace: String,
    /// The units that are still queued.
    pub units: Vec<QueuedUnit>,
    /// The journal, oldest first.
    pub attempts: Vec<AttemptRecord>,
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
    /// Who was concerned.
    pub recipients: Vec<String>,
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
    /// Whether the lease was no longer held, so that nothing else was recorded.
    pub fenced: bool,
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

/// What a bounded steering call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steered {
    /// Units (of `cancel`: recipients) that were changed.
    pub changed: u64,
    /// Units that a relay holds right now: what is being sent cannot be called back. Hold and
    /// cancel mark them, so that they are held instead of tried again should this attempt not
    /// deliver them; flush and release pass over them.
    pub leased: u64,
    /// Where to go on, unless everything was looked at.
    pub next: Option<UnitPosition>,
}

impl Queue {
    /// Lists units, oldest message first within a shard, at most `limit`.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn list(
        &self,
        _filter: &Filter,
        _after: Option<UnitPosition>,
        _limit: u32,
    ) -> Result<Vec<QueuedUnit>, QueueError> {
        todo!()
    }

    /// All that is known of one message; none when neither queue nor journal knows it.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn show(&self, _queue_id: QueueId) -> Result<Option<MessageDetail>, QueueError> {
        todo!()
    }

    /// Counts units by tenant and state. Counts the whole queue: not for hot paths.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn counts(&self) -> Result<Vec<QueueCount>, QueueError> {
        todo!()
    }

    /// Makes deferred units due now, and opens their destinations.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn flush(
        &self,
        _filter: &Filter,
        _after: Option<UnitPosition>,
        _limit: u32,
    ) -> Result<Steered, QueueError> {
        todo!()
    }

    /// Holds units: they are neither attempted nor do they expire until they are released.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn hold(
        &self,
        _filter: &Filter,
        _reason: &str,
        _after: Option<UnitPosition>,
        _limit: u32,
    ) -> Result<Steered, QueueError> {
        todo!()
    }

    /// Releases held units. Each gets at least one attempt, even if its time was up meanwhile.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn release(
        &self,
        _filter: &Filter,
        _after: Option<UnitPosition>,
        _limit: u32,
    ) -> Result<Steered, QueueError> {
        todo!()
    }

    /// Removes recipients from the queue without a report to the sender. With a recipient
    /// pattern only those that fit, else all of a unit.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn cancel(
        &self,
        _filter: &Filter,
        _after: Option<UnitPosition>,
        _limit: u32,
    ) -> Result<Steered, QueueError> {
        todo!()
    }
}
