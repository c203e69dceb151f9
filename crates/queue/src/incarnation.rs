//! Incarnations: running relays, and what becomes of the leases of dead ones.

use crate::database::Queue;
use crate::error::QueueError;
use crate::ids::IncarnationId;

/// What an incarnation tells about itself.
#[derive(Clone, Debug)]
pub struct Registration {
    /// `host:port` under which its hand-off service is reached.
    pub address: String,
    /// The name of the machine.
    pub node: String,
    /// The version of the program.
    pub version: String,
}

/// What a reclaim came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Units that are ready again.
    pub ready: u64,
    /// Units that are held now, because they were leased to too many relays that died.
    pub held: u64,
}

impl Queue {
    /// Registers a relay that starts.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn register(
        &self,
        _registration: &Registration,
    ) -> Result<IncarnationId, QueueError> {
        todo!()
    }

    /// Notes that a relay ended in good order: what it still holds is released uncharged.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn end_incarnation(&self, _incarnation: IncarnationId) -> Result<(), QueueError> {
        todo!()
    }

    /// Takes the leases of incarnations that ended or were pronounced dead, at most `limit` of
    /// them; to be called about every second.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn reclaim(&self, _limit: u32) -> Result<Reclaimed, QueueError> {
        todo!()
    }
}
