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

    /// Tells that a client has begun a message: see [`Enqueuer::expect_message`].
    pub fn expect_message(&self) {
        self.enqueuer.expect_message();
    }

    /// Queues a message, leased to a relay that has room for it, and hands it off. `Ok` means that it
    /// is on disk: only now may the client get its `250` (RFC 5321 §6.1).
    ///
    /// # Errors
    /// Any [`EnqueueError`]; [`EnqueueError::reply`] is the client's answer.
    pub async fn enqueue(&self, mut message: NewMessage) -> Result<(), EnqueueError> {
        let shard = message.id.shard();
        let destinations = destinations_of(&message);
        let suspended = destinations
            .iter()
            .filter(|destination| self.hand_off.is_suspended(destination))
            .count();
        // A relay would only give back what goes to a suspended destination.
        let credit = if suspended == 0 {
            self.hand_off.try_credit(&CreditRequest {
                tenant: message.tenant,
                units: destinations.len(),
                size: message.content.len(),
            })
        } else {
            None
        };
        message.lease_to = credit.as_ref().map(Credit::holder);
        let queued = self.enqueuer.enqueue(message).await?;
        match credit {
            Some(credit) => credit.send(queued.units),
            None if suspended < destinations.len() => self.hand_off.hint(shard),
            // The destination's next probe finds it.
            None => {}
        }
        Ok(())
    }
}

/// Where the message goes: each will be a unit of its own.
fn destinations_of(message: &NewMessage) -> HashSet<DestinationKey> {
    let recipients = message.recipients.iter();
    recipients
        .map(|recipient| DestinationKey {
            tenant: message.tenant,
            domain: recipient.domain().routing_domain(),
        })
        .collect()
}
