//! Everything over real sockets on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod access;
mod balance;
mod certificates;
mod delivery;
mod directory;
mod hand_off;
mod hand_off_faults;
mod health;
mod newer;
mod relay;
mod running;
