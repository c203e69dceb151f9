//! The queue's promises (DESIGN §3), each on a real Postgres.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that can't go on has failed"
)]

mod acceptance;
mod claims;
mod completion;
mod destinations;
mod faults;
mod incarnations;
mod inspection;
mod lease_protocol;
mod schema;
mod searches;
mod steering;
mod support;
mod suspects;
mod upkeep;
