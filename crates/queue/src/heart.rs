//! The heartbeat of an incarnation, and its watch over the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::database::Queue;
use crate::ids::IncarnationId;

/// How a heart beats.
#[derive(Clone, Copy, Debug)]
pub struct HeartConfig {
    /// Time between heartbeats.
    pub interval: Duration,
    /// An incarnation whose heartbeat stands still for so long is dead.
    pub ttl: Duration,
    /// The heart stops beating when there was no progress for so long.
    pub patience: Duration,
}

impl Default for HeartConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            ttl: Duration::from_secs(10),
            patience: Duration::from_secs(4),
        }
    }
}

/// The scheduler's sign of life: it calls [`Progress::note`] each time round its loop, at least
/// once a second.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Notes that the scheduler came round.
    pub fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Raises the heartbeat of an incarnation over a connection of its own, and pronounces dead those
/// incarnations whose heartbeat stands still.
#[derive(Debug)]
pub struct Heart {}

impl Heart {
    /// Starts beating. Stops when dropped.
    #[must_use]
    pub fn start(
        _queue: &Queue,
        _incarnation: IncarnationId,
        _config: HeartConfig,
        _progress: Progress,
    ) -> Self {
        todo!()
    }

    /// Whether the last good heartbeat began less than the TTL minus `margin` ago, so that nobody
    /// can have taken over yet. Asked before the final dot and before `Deliver`.
    #[must_use]
    pub fn is_good(&self, _margin: Duration) -> bool {
        todo!()
    }

    /// Turns true when this incarnation was pronounced dead: whatever it holds is somebody
    /// else's now. Drop everything and register anew.
    #[must_use]
    pub fn fenced(&self) -> watch::Receiver<bool> {
        todo!()
    }
}
