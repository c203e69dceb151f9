//! Who is dead: a state machine without I/O and without a clock.

use std::time::Duration;

/// What an observer goes by.
#[derive(Clone, Copy, Debug)]
pub struct ObserverConfig {
    /// Normal spacing of its observations.
    pub interval: Duration,
    /// An incarnation whose counter stands still for so long is dead.
    pub ttl: Duration,
}

/// Watches heartbeat counters on a clock of its own.
#[derive(Debug)]
pub struct Observer {}
