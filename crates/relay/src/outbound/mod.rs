//! Outbound: what is leased to this relay is attempted, and how it ended is recorded.
//!
//! `intake` and the hand-off bring units, `scheduler` and `lanes` give them to a `worker` of their next hop, which sends
//! (`deliver_local`, `deliver_remote`); `failure` decides what a refusal means, `conclude` what is recorded, `settle`
//! records it.

pub mod attempt;
pub mod conclude;
pub mod content;
pub mod deliver_local;
pub mod deliver_remote;
pub mod engine;
pub mod events;
pub mod expiry;
pub mod failure;
pub mod fair_queue;
pub mod held;
pub mod intake;
pub mod lanes;
pub mod life;
pub mod mx;
pub mod notify;
pub mod retry;
pub mod route;
pub mod scheduler;
pub mod settle;
pub mod suspensions;
pub mod worker;
