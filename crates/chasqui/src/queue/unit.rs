//! A queued unit, as it is printed.

use std::collections::HashMap;

use ::queue::{DestinationKey, Queue, QueuedUnit, Suspension, UnitState};
use serde::Serialize;
use time::OffsetDateTime;

use crate::failure::Failure;
use crate::output::{Cell, Tint, When, ahead};

/// More destinations than that are not all down at once.
const MAX_SUSPENSIONS: u32 = 10_000;

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
    /// What was said to the last attempt, or why it is held.
    pub(crate) last_reply: Option<String>,
    /// When the destination is tried again, while it is suspended.
    pub(crate) suspended_until: Option<When>,
    /// Why it is suspended.
    pub(crate) suspension: Option<String>,
}

/// The destinations that get no mail for now.
pub(crate) struct Suspensions(HashMap<DestinationKey, (OffsetDateTime, String)>);

impl Suspensions {
    pub(crate) async fn fetch(queue: &Queue) -> Result<Self, Failure> {
        let suspensions = queue.suspensions(MAX_SUSPENSIONS).await?.into_iter();
        let while_suspended = |suspension: Suspension| {
            let until = suspension.until?;
            Some((suspension.destination, (until, suspension.last_reply)))
        };
        Ok(Self(suspensions.filter_map(while_suspended).collect()))
    }

    /// The unit, and what keeps it waiting.
    pub(crate) fn row(&self, unit: QueuedUnit) -> UnitRow {
        let destination = DestinationKey {
            tenant: unit.tenant,
            domain: unit.domain,
        };
        let suspension = self.0.get(&destination);
        UnitRow {
            queue_id: unit.unit.queue_id.to_string(),
            unit: unit.unit.number,
            tenant: unit.tenant.0,
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
            suspended_until: suspension.map(|(until, _)| When(*until)),
            suspension: suspension.map(|(_, reply)| reply.clone()),
            domain: destination.domain,
        }
    }
}

impl UnitRow {
    /// The reverse-path, visible also when it is null.
    pub(crate) fn sender(&self) -> String {
        sender(&self.reverse_path)
    }

    /// When it is tried next, as far as that is known.
    pub(crate) fn next_try(&self) -> String {
        if self.is(UnitState::Leased) {
            return "being tried".to_owned();
        }
        if self.is(UnitState::Held) {
            return "-".to_owned();
        }
        let due = self.due_at.0;
        let suspended = self.suspended_until.map(|until| until.0);
        ahead(suspended.map_or(due, |until| until.max(due)))
    }

    /// What keeps it in the queue, in the words of whoever does.
    pub(crate) fn reason(&self) -> String {
        let waits_for_destination = !self.is(UnitState::Held);
        let suspension = self.suspension.as_ref().filter(|_| waits_for_destination);
        let reason = suspension.or(self.last_reply.as_ref());
        reason.cloned().unwrap_or_default()
    }

    /// The state, in the colour of how much it needs looking at.
    pub(crate) fn state_cell(&self) -> Cell {
        let is_suspended = self.suspended_until.is_some();
        let tint = match self.state {
            "held" => Tint::Bad,
            "deferred" => Tint::Doubtful,
            "ready" if is_suspended => Tint::Doubtful,
            "leased" => Tint::Good,
            _ => Tint::Plain,
        };
        Cell::new(self.state, tint)
    }

    fn is(&self, state: UnitState) -> bool {
        self.state == state.as_str()
    }
}

/// A reverse-path, visible also when it is null.
pub(crate) fn sender(reverse_path: &str) -> String {
    if reverse_path.is_empty() {
        "<>".to_owned()
    } else {
        reverse_path.to_owned()
    }
}
