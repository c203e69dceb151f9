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

mod binaries;
mod certificate;
mod database;
mod dns;
mod ports;
mod process;
mod processes;
mod proxy;
mod sink;
mod stream;
mod talk;
mod tls;
mod wait;

pub use binaries::{Binaries, binaries};
pub use certificate::{TestAuthority, TestCertificate};
pub use database::{TestDatabase, TestPostgres, database, postgres};
pub use dns::{DnsServer, Zone};
pub use ports::free_port;
pub use process::Process;
pub use proxy::{Proxy, Traffic};
pub use sink::{Action, Received, Script, Sink, Stage};
pub use talk::{Answer, SmtpTalk};
pub use wait::{DEADLINE, wait_until, wait_until_within};
