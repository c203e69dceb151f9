//! Handing one message to delivery over gRPC.

use queue::{Content, LeasedUnit};
use rpc::delivery::{DeliverRequest, DeliveryClient};
use smtp::{Mailbox, Outcome};

use super::attempt::FarEnd;
use super::failure::Failure;

/// What delivery said.
#[derive(Debug)]
pub(crate) struct Handed {
    /// An outcome for each recipient, by number; empty when the call failed.
    pub(crate) outcomes: Vec<(i32, Outcome)>,
    /// Why the call failed.
    pub(crate) undecided: Option<Failure>,
    /// Delivery, in the journal's words.
    pub(crate) far_end: FarEnd,
}

/// Delivers the units of one message, all to mailboxes of our own.
pub(crate) async fn deliver(
    client: &DeliveryClient,
    units: &[&LeasedUnit],
    content: Content,
) -> Handed {
    let far_end = FarEnd {
        host: Some("delivery".to_owned()),
        ..FarEnd::default()
    };
    let Some(first) = units.first() else {
        return Handed {
            outcomes: Vec::new(),
            undecided: None,
            far_end,
        };
    };
    let recipients: Vec<(i32, Mailbox)> = units
        .iter()
        .flat_map(|unit| &unit.recipients)
        .map(|recipient| (recipient.number, recipient.mailbox.clone()))
        .collect();
    let request = DeliverRequest {
        queue_id: first.lease.unit.queue_id,
        attempt: units
            .iter()
            .map(|unit| unit.lease.attempt)
            .max()
            .unwrap_or(1),
        reverse_path: first.reverse_path.clone(),
        recipients,
        accepted_at: first.accepted_at,
        trace: first.trace,
        content,
    };
    match client.deliver(&request).await {
        Ok(outcomes) => Handed {
            outcomes,
            undecided: None,
            far_end,
        },
        Err(error) => Handed {
            outcomes: Vec::new(),
            undecided: Some(Failure::internal(error.to_string())),
            far_end,
        },
    }
}
