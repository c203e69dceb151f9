//! Test parts that are real: databases on a real Postgres, far ends on real sockets, processes.
//!
//! Whatever can't be set up makes the test panic and says why; so nothing in here returns an error.
//!
//! Invariant: none of our own services is known here, so that each of them can test with this.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed"
)]

mod certificate;
mod database;
mod dns;
mod processes;
mod sink;
mod stream;
mod talk;
mod tls;
mod wait;

pub use certificate::{TestAuthority, TestCertificate};
pub use database::{TestDatabase, TestPostgres, database, postgres};
pub use dns::{DnsServer, Zone};
pub use sink::{Action, Received, Script, Sink, Stage};
pub use talk::{Answer, SmtpTalk};
pub use wait::{DEADLINE, wait_until, wait_until_within};
