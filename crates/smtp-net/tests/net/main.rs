//! Real sockets and real TLS: our server against a scripted client, our client against a scripted
//! server, and the two against each other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod certificates;
mod client_failures;
mod client_sends;
mod drain;
mod limits;
mod pipelining;
mod proxied;
mod scripted;
mod service;
mod stalls;
mod tls;
mod told;

use std::time::Duration;

/// Awaits what must happen soon; only a bug makes this wait in full.
async fn soon<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), wait)
        .await
        .expect("what had to happen did not happen")
}
