//! A message made ready for insertion: checked, and split into units.

use std::collections::HashMap;

use time::OffsetDateTime;

use crate::ids::{IncarnationId, UnitId};
use crate::lease::{Lease, LeasedRecipient, LeasedUnit};
use crate::message::NewMessage;

/// A message with its units, and the moment of its acceptance.
#[derive(Debug)]
pub(crate) struct PreparedMessage {
    pub(crate) message: NewMessage,
    pub(crate) units: Vec<PreparedUnit>,
    pub(crate) accepted_at: OffsetDateTime,
}

/// The recipients of one message that share a routing domain.
#[derive(Debug)]
pub(crate) struct PreparedUnit {
    pub(crate) domain: String,
    pub(crate) recipients: Vec<LeasedRecipient>,
}

impl PreparedMessage {
    /// Splits a message's recipients by routing domain, in the order in which the domains come
    /// first. None if there is no recipient.
    pub(crate) fn new(mut message: NewMessage) -> Option<Self> {
        let mut units: Vec<PreparedUnit> = Vec::with_capacity(1);
        let mut known: HashMap<String, usize> = HashMap::new();
        for (number, mailbox) in (0..).zip(std::mem::take(&mut message.recipients)) {
            let domain = mailbox.domain().routing_domain();
            let recipient = LeasedRecipient { number, mailbox };
            let last = units.last_mut().filter(|unit| unit.domain == domain);
            if let Some(unit) = last {
                unit.recipients.push(recipient);
                continue;
            }
            match known.get(&domain).and_then(|index| units.get_mut(*index)) {
                Some(unit) => unit.recipients.push(recipient),
                None => {
                    known.insert(domain.clone(), units.len());
                    units.push(PreparedUnit {
                        domain,
                        recipients: vec![recipient],
                    });
                }
            }
        }
        (!units.is_empty()).then(|| Self {
            message,
            units,
            accepted_at: OffsetDateTime::now_utc(),
        })
    }

    /// How many recipients there are.
    pub(crate) fn recipients(&self) -> usize {
        self.units.iter().map(|unit| unit.recipients.len()).sum()
    }

    /// About how many octets it adds to a batch.
    pub(crate) fn weight(&self) -> usize {
        self.message.content.len() + self.recipients() * ROW
    }

    /// The leases that were inserted along with the message; none if it wasn't leased to anybody.
    pub(crate) fn into_leases(self) -> Vec<LeasedUnit> {
        let Self {
            message,
            units,
            accepted_at,
        } = self;
        let Some(holder) = message.lease_to else {
            return Vec::new();
        };
        (0..)
            .zip(units)
            .map(|(number, unit)| leased(&message, number, unit, holder, accepted_at))
            .collect()
    }
}

/// About how many octets a row takes besides content: an address and what goes with it.
const ROW: usize = 100;

/// The attempt of a lease that is inserted with its unit.
pub(crate) const FIRST_ATTEMPT: i32 = 1;

fn leased(
    message: &NewMessage,
    number: i32,
    unit: PreparedUnit,
    holder: IncarnationId,
    accepted_at: OffsetDateTime,
) -> LeasedUnit {
    LeasedUnit {
        lease: Lease {
            unit: UnitId {
                queue_id: message.id,
                number,
            },
            holder,
            attempt: FIRST_ATTEMPT,
        },
        tenant: message.tenant,
        domain: unit.domain,
        reverse_path: message.reverse_path.clone(),
        body: message.body,
        recipients: unit.recipients,
        size: message.content.len() as u64,
        content: Some(message.content.clone()),
        accepted_at,
        expires_at: message.expires_at,
        trace: message.trace,
        tries: 0,
        unclean_takeovers: 0,
        probe: false,
    }
}
