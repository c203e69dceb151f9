//! What the tests of the server session share: a service that answers its questions.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, and each test binary uses some of this"
)]

pub mod service;
pub mod transcript;
