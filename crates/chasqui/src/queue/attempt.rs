//! An attempt of the journal, as it is printed.

use ::queue::AttemptRecord;
use serde::Serialize;

use crate::output::{Cell, Tint, When};

#[derive(Serialize)]
pub(crate) struct Attempt {
    /// When it ended.
    pub(crate) at: When,
    /// The number of the unit within its message.
    pub(crate) unit: i32,
    pub(crate) attempt: i32,
    pub(crate) domain: String,
    pub(crate) node: String,
    /// The relay that made it.
    pub(crate) incarnation: i64,
    pub(crate) recipients: Vec<String>,
    pub(crate) source_address: Option<String>,
    /// The MX, smart host or delivery service, with its address.
    pub(crate) host: Option<String>,
    /// TLS version and cipher, or why there was none.
    pub(crate) tls: Option<String>,
    pub(crate) outcome: String,
    pub(crate) status: String,
    pub(crate) reply: String,
    pub(crate) duration_ms: i64,
    /// Since acceptance.
    pub(crate) delay_ms: i64,
    /// Whether the lease was no longer held, so that nothing but the journal was written.
    pub(crate) fenced: bool,
}

impl From<AttemptRecord> for Attempt {
    fn from(record: AttemptRecord) -> Self {
        Self {
            at: When(record.at),
            unit: record.unit.number,
            attempt: record.attempt,
            domain: record.domain,
            node: record.node,
            incarnation: record.incarnation.0,
            recipients: record.recipients,
            source_address: record.source_address,
            host: record.host,
            tls: record.tls,
            outcome: record.outcome,
            status: record.status,
            reply: record.reply,
            duration_ms: record.duration_ms,
            delay_ms: record.delay_ms,
            fenced: record.fenced,
        }
    }
}

impl Attempt {
    /// How it ended.
    pub(crate) fn outcome_cell(&self) -> Cell {
        let outcome = &self.outcome;
        if self.fenced {
            let told = format!("{outcome} (not its lease any more)");
            return Cell::new(told, Tint::Faint);
        }
        let tint = match outcome.as_str() {
            "delivered" => Tint::Good,
            "failed" | "expired" => Tint::Bad,
            "deferred" => Tint::Doubtful,
            _ => Tint::Plain,
        };
        Cell::new(outcome.clone(), tint)
    }
}
