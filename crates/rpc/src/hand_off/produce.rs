//! The way of a message from its acceptance to the relay: credit, COMMIT, hand-off.

use std::collections::HashSet;

use queue::{DestinationKey, EnqueueError, Enqueuer, NewMessage, QueueId};

use super::producer::{Credit, CreditRequest, HandOff};

/// Queues messages and hands them off. Cheap to clone.
#[derive(Clone)]
pub struct Producer {
    /// Makes the commits.
    pub enqueuer: Enqueuer,
    /// The way to the relays.
    pub hand_off: HandOff,
}

impl Producer {
    /// A name for the next message.
    #[must_use]
    pub fn next_id(&self) -> QueueId {
        self.enqueuer.next_id()
    }

    /// Queues a message, leased to a relay that has room for it, and hands it off. `Ok` means that it
    /// is on disk: only now may the client get its `250` (RFC 5321 §6.1).
    ///
    /// # Errors
    /// Any [`EnqueueError`]; [`EnqueueError::reply`] is the client's answer.
    pub async fn enqueue(&self, mut message: NewMessage) -> Result<(), EnqueueError> {
        let shard = message.id.shard();
        let credit = self.credit_for(&message);
        message.lease_to = credit.as_ref().map(Credit::holder);
        let queued = self.enqueuer.enqueue(message).await?;
        match credit {
            Some(credit) => credit.send(queued.units),
            None => self.hand_off.hint(shard),
        }
        Ok(())
    }

    /// Credit with a relay that will attempt the message at once. None for mail to a suspended
    /// destination, which would only be given back.
    fn credit_for(&self, message: &NewMessage) -> Option<Credit> {
        let recipients = message.recipients.iter();
        let domains: HashSet<String> = recipients
            .map(|recipient| recipient.domain().routing_domain())
            .collect();
        let request = CreditRequest {
            tenant: message.tenant,
            units: domains.len(),
            size: message.content.len(),
        };
        let tenant = message.tenant;
        let is_suspended = domains.into_iter().any(|domain| {
            self.hand_off
                .is_suspended(&DestinationKey { tenant, domain })
        });
        if is_suspended {
            return None;
        }
        self.hand_off.try_credit(&request)
    }
}
