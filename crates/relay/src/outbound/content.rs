//! The content of an attempt: at hand since acceptance, or read back from the queue under a byte
//! budget, so that memory is bounded however much is queued.

use std::sync::Arc;

use queue::{Content, Queue, QueueError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::held::HeldUnit;

/// The budget counts in units of so many octets.
const GRAIN: u64 = 1024;

/// Reads content back. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ContentStore {
    queue: Queue,
    budget: Arc<Semaphore>,
    grains: u32,
}

/// Content for as long as an attempt needs it.
pub(crate) struct Fetched {
    /// The content.
    pub(crate) content: Content,
    _reserved: Option<OwnedSemaphorePermit>,
}

impl ContentStore {
    /// At most `budget` octets are read back at once; a message that is larger than all of it goes
    /// alone.
    pub(crate) fn new(queue: Queue, budget: u64) -> Self {
        let grains = u32::try_from(budget / GRAIN).unwrap_or(u32::MAX).max(1);
        Self {
            queue,
            budget: Arc::new(Semaphore::new(grains as usize)),
            grains,
        }
    }

    /// The content of a group's message; none if the message is gone, so that somebody else
    /// completed it. Waits for room in the budget, which every attempt gives back within its own
    /// deadlines.
    ///
    /// # Errors
    /// Any [`QueueError`] of the read.
    pub(crate) async fn fetch(&self, group: &[HeldUnit]) -> Result<Option<Fetched>, QueueError> {
        let Some(first) = group.first() else {
            return Ok(None);
        };
        if let Some(content) = group.iter().find_map(|held| held.unit.content.clone()) {
            return Ok(Some(Fetched {
                content,
                _reserved: None,
            }));
        }
        let grains = u32::try_from(first.unit.size.div_ceil(GRAIN)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let reserved = self
            .budget
            .clone()
            .acquire_many_owned(grains.min(self.grains))
            .await
            .ok();
        let id = first.unit.lease.unit.queue_id;
        let content = self.queue.load_content([id]).await?.remove(&id);
        Ok(content.map(|content| Fetched {
            content,
            _reserved: reserved,
        }))
    }
}
