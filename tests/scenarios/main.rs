//! Scenarios: one fault or feature a file, against real parts. Each reads as what happens, what is done about it, and
//! what is counted in the end; each waits for conditions and never for a time.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed"
)]

mod fleet;
mod passed_over;

mod bad_input;
mod inbound;
mod outages;
mod outbound;
mod processes;
mod submitting;

mod links;
mod peers;
mod runbook;
mod submitted_to_mailbox;
mod walls;
