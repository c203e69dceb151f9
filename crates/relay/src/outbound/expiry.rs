//! Giving up on what expired while its destination was down: nothing is sent, the sender is told
//! with the destination's last words.

use std::sync::Arc;

use queue::{Expired, Queue};
use smtp::EnhancedStatus;

use super::attempt::Attempted;
use super::conclude::Conclude;
use super::events::AttemptStory;
use super::failure::Failure;
use super::held::Holdings;
use super::settle::{Ending, Settler};

/// Concludes expired units.
pub(crate) struct Expiry {
    /// For the original's header.
    pub(crate) queue: Queue,
    /// Makes conclusions.
    pub(crate) conclude: Arc<Conclude>,
    /// Records them.
    pub(crate) settler: Settler,
}

impl Expiry {
    /// Ends a unit whose time was up while its destination was suspended.
    pub(crate) async fn expire(&self, expired: Expired, holdings: &Holdings) {
        let Some(held) = holdings.take_in(expired.unit, Box::new(())) else {
            return;
        };
        let unit = held.unit;
        let id = unit.lease.unit.queue_id;
        let content = match self.queue.load_content([id]).await {
            Ok(mut contents) => contents.remove(&id).unwrap_or_default(),
            Err(error) => {
                // Still leased to us and no longer known: it will be adopted and tried again.
                tracing::warn!(
                    error = service::one_line(&error),
                    "could not read the content of an expired message"
                );
                return;
            }
        };
        let words = format!(
            "the destination could not be reached: {}",
            expired.last_reply
        );
        let attempted = Attempted::failed(
            Failure::not_reached(EnhancedStatus::new(4, 4, 1), words),
            std::time::Duration::ZERO,
        );
        let story = AttemptStory::new(&unit, "suspended".to_owned());
        let destination = unit.destination();
        let now = time::OffsetDateTime::now_utc();
        let ending = Ending {
            place: held.place,
            story,
            destination,
            probe: false,
        };
        let conclusion = self.conclude.conclude(unit, attempted, &content, now, 0.5);
        self.settler.settle(ending, conclusion).await;
    }
}
