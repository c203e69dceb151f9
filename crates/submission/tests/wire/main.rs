//! A mail client on a real socket, real TLS, a directory and a queue on a real Postgres, and a
//! relay's end of the hand-off.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod accepting;
mod certificate;
mod client;
mod directory;
mod fleet;
mod hand_off;
mod limits;
mod logging;
mod logins;
mod outages;
mod process;
mod senders;
