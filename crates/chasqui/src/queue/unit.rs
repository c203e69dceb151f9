//! A queued unit, as it is printed.

use ::queue::{QueuedUnit, UnitState};
use serde::Serialize;

use crate::output::{When, ahead};

#[derive(Serialize)]
pub(crate) struct UnitRow {
    pub(crate) queue_id: String,
    /// The number of the unit within its message.
    pub(crate) unit: i32,
    pub(crate) tenant: i64,
    pub(crate) domain: String,
    pub(crate) state: &'static str,
    /// Empty for the null path.
    pub(crate) reverse_path: String,
    pub(crate) recipients: Vec<String>,
    /// Octets.
    pub(crate) size: u64,
    pub(crate) accepted_at: When,
    pub(crate) due_at: When,
    pub(crate) expires_at: When,
    pub(crate) attempts: i32,
    /// The relay that holds the lease.
    pub(crate) holder: Option<i64>,
    pub(crate) last_attempt_at: Option<When>,
    pub(crate) last_status: Option<String>,
    pub(crate) last_reply: Option<String>,
}

impl From<QueuedUnit> for UnitRow {
    fn from(unit: QueuedUnit) -> Self {
        Self {
            queue_id: unit.unit.queue_id.to_string(),
            unit: unit.unit.number,
            tenant: unit.tenant.0,
            domain: unit.domain,
            state: unit.state.as_str(),
            reverse_path: unit.reverse_path.as_address(),
            recipients: unit.recipients.iter().map(ToString::to_string).collect(),
            size: unit.size,
            accepted_at: When(unit.accepted_at),
            due_at: When(unit.due_at),
            expires_at: When(unit.expires_at),
            attempts: unit.attempts,
            holder: unit.holder.map(|holder| holder.0),
            last_attempt_at: unit.last_attempt_at.map(When),
            last_status: unit.last_status,
            last_reply: unit.last_reply,
        }
    }
}

impl UnitRow {
    /// The reverse-path, visible also when it is null.
    pub(crate) fn sender(&self) -> String {
        if self.reverse_path.is_empty() {
            "<>".to_owned()
        } else {
            self.reverse_path.clone()
        }
    }

    /// When it is tried next, as far as that is known.
    pub(crate) fn due(&self) -> String {
        if self.state == UnitState::Leased.as_str() {
            "being tried".to_owned()
        } else if self.state == UnitState::Held.as_str() {
            "-".to_owned()
        } else {
            ahead(self.due_at.0)
        }
    }
}
