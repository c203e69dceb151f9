//! Rows of the database as leases.

use smtp::{Mailbox, ReversePath};
use sqlx::types::Uuid;
use time::OffsetDateTime;

use crate::columns::body_of_column;
use crate::ids::{IncarnationId, QueueId, Tenant, UnitId};
use crate::lease::{Lease, LeasedRecipient, LeasedUnit};
use crate::statement::from_row;

/// What statements that lease units return, `u` being the unit after the change, `m` its message.
macro_rules! leased_columns {
    () => {
        "u.message, u.number, u.holder, u.attempt, u.tenant, u.domain, u.recipients,
         u.recipient_numbers, u.expires_at, u.tries, u.unclean_takeovers,
         m.reverse_path, m.body, m.size, m.accepted_at, m.traceparent"
    };
}
pub(crate) use leased_columns;

from_row! {
    /// A row of [`leased_columns`].
    pub(crate) struct LeasedRow {
        message: Uuid,
        number: i32,
        holder: i64,
        attempt: i32,
        tenant: i64,
        domain: String,
        recipients: Vec<Vec<u8>>,
        recipient_numbers: Vec<i32>,
        expires_at: OffsetDateTime,
        tries: i32,
        unclean_takeovers: i16,
        reverse_path: Vec<u8>,
        body: i16,
        size: i64,
        accepted_at: OffsetDateTime,
        traceparent: String,
    }
}

impl LeasedRow {
    /// The lease, without content; none if the row can't be read, which is logged. Such a unit
    /// was not written by a program of ours.
    pub(crate) fn into_unit(self, probe: bool) -> Option<LeasedUnit> {
        let name = (self.message, self.number);
        let unit = self.parse(probe);
        if unit.is_none() {
            tracing::error!(queue_id = %name.0, unit = name.1, "a unit of the queue is unreadable");
        }
        unit
    }

    fn parse(self, probe: bool) -> Option<LeasedUnit> {
        Some(LeasedUnit {
            lease: Lease {
                unit: unit_id(self.message, self.number)?,
                holder: IncarnationId(self.holder),
                attempt: self.attempt,
            },
            tenant: Tenant(self.tenant),
            domain: self.domain,
            reverse_path: reverse_path(&self.reverse_path)?,
            body: body_of_column(self.body),
            recipients: recipients(&self.recipients, self.recipient_numbers)?,
            size: u64::try_from(self.size).ok()?,
            content: None,
            accepted_at: self.accepted_at,
            expires_at: self.expires_at,
            trace: self.traceparent.parse().ok()?,
            tries: self.tries,
            unclean_takeovers: self.unclean_takeovers,
            probe,
        })
    }
}

pub(crate) fn unit_id(message: Uuid, number: i32) -> Option<UnitId> {
    let queue_id = QueueId::try_from(message).ok()?;
    Some(UnitId { queue_id, number })
}

pub(crate) fn reverse_path(address: &[u8]) -> Option<ReversePath> {
    ReversePath::from_address(std::str::from_utf8(address).ok()?).ok()
}

pub(crate) fn mailbox(address: &[u8]) -> Option<Mailbox> {
    Mailbox::parse(std::str::from_utf8(address).ok()?).ok()
}

fn recipients(addresses: &[Vec<u8>], numbers: Vec<i32>) -> Option<Vec<LeasedRecipient>> {
    let each = addresses.iter().zip(numbers);
    each.map(|(address, number)| {
        mailbox(address).map(|mailbox| LeasedRecipient { number, mailbox })
    })
    .collect()
}
