//! Handing one message to delivery over gRPC.

use std::sync::Arc;

use queue::{Content, LeasedUnit, TraceParent};
use rpc::delivery::{DeliverRequest, DeliveryClient, Outcomes};
use smtp::Mailbox;

use super::attempt::{FarEnd, Said};
use super::failure::Failure;

/// What delivery said.
#[derive(Debug)]
pub(crate) struct Handed {
    /// What it said on each recipient, by number; nothing when the call failed.
    pub(crate) said: Vec<(i32, Said)>,
    /// Why the call failed.
    pub(crate) undecided: Option<Failure>,
    /// Delivery, in the journal's words.
    pub(crate) far_end: Arc<FarEnd>,
}

/// Delivers the units of one message, all to mailboxes of our own, as part of `trace` or,
/// without one, of the message's own.
pub(crate) async fn deliver(
    client: &DeliveryClient,
    units: &[&LeasedUnit],
    content: Content,
    trace: Option<TraceParent>,
) -> Handed {
    let far_end = Arc::new(FarEnd {
        host: Some("delivery".to_owned()),
        ..FarEnd::default()
    });
    let Some(first) = units.first() else {
        return Handed {
            said: Vec::new(),
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
        trace: trace.unwrap_or(first.trace),
        content,
    };
    match client.deliver(&request).await {
        Ok(outcomes) => Handed {
            said: said(outcomes, &far_end),
            undecided: None,
            far_end,
        },
        Err(error) => Handed {
            said: Vec::new(),
            undecided: Some(Failure::internal(error.to_string())),
            far_end,
        },
    }
}

fn said(outcomes: Outcomes, far_end: &Arc<FarEnd>) -> Vec<(i32, Said)> {
    let said = |outcome| Said {
        outcome,
        far_end: Arc::clone(far_end),
    };
    let outcomes = outcomes.into_iter();
    outcomes
        .map(|(number, outcome)| (number, said(outcome)))
        .collect()
}
