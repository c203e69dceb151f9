//! Taking leases: what is ready, what is due, what was lost on the way.

use std::time::Duration;

use crate::database::Queue;
use crate::error::QueueError;
use crate::ids::{IncarnationId, Shard, UnitId};
use crate::lease::{Lease, LeasedUnit};

/// From so many unclean takeovers on a unit is attempted alone.
pub const SUSPECT_TAKEOVERS: i16 = 2;

/// How much a claim may take.
#[derive(Clone, Copy, Debug)]
pub struct ClaimLimits {
    /// Most units of one (tenant, routing domain).
    pub per_destination: u32,
    /// Most units in all.
    pub units: u32,
}

/// A unit whose time was up while its destination was suspended.
#[derive(Clone, Debug)]
pub struct Expired {
    /// The unit, leased so that it can be completed as expired.
    pub unit: LeasedUnit,
    /// What the destination answered last.
    pub last_reply: String,
    /// When that was.
    pub last_failure_at: time::OffsetDateTime,
}

/// Takes leases for one incarnation.
#[derive(Debug)]
pub struct Claimer {}

impl Claimer {
    /// Claims for that incarnation.
    #[must_use]
    pub fn new(_queue: Queue, _holder: IncarnationId) -> Self {
        todo!()
    }

    /// Leases ready units of one shard: a few of each destination, starting where the last claim
    /// of the shard ended. Of a suspended destination nothing is taken but, when its time is up,
    /// one probe. Without content.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn claim(
        &self,
        _shard: Shard,
        _limits: ClaimLimits,
    ) -> Result<Vec<LeasedUnit>, QueueError> {
        todo!()
    }

    /// Leases one unit that may be what killed the relays that held it. The caller attempts
    /// nothing else meanwhile that it couldn't bear to lose, and asks for the next one only when
    /// this one is completed.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn claim_suspect(&self) -> Result<Option<LeasedUnit>, QueueError> {
        todo!()
    }

    /// Makes deferred units of one shard ready whose time has come; tells how many.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn promote(&self, _shard: Shard, _limit: u32) -> Result<u64, QueueError> {
        todo!()
    }

    /// Takes over units that are leased to this incarnation for longer than `older_than` and
    /// that it doesn't know: their hand-off was lost between COMMIT and stream. A unit is `known`
    /// until its completion is answered.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn adopt(
        &self,
        _older_than: Duration,
        _known: impl Fn(&UnitId) -> bool,
    ) -> Result<Vec<LeasedUnit>, QueueError> {
        todo!();
        #[allow(unreachable_code)]
        Ok(vec![])
    }

    /// Leases units of one shard that expired while their destination was suspended, and that
    /// its last failure came after.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn expire(&self, _shard: Shard, _limit: u32) -> Result<Vec<Expired>, QueueError> {
        todo!()
    }

    /// Gives leases back untried, for any relay to take at once; tells how many were still held.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn release(&self, _leases: &[Lease]) -> Result<u64, QueueError> {
        todo!()
    }
}

impl Queue {
    /// Reads the content of units that were leased without it. Units whose message is gone by now
    /// stay as they are.
    ///
    /// # Errors
    /// Any [`QueueError`].
    pub async fn load_content(&self, _units: &mut [LeasedUnit]) -> Result<(), QueueError> {
        todo!()
    }
}
