//! Outbound: what is leased to this relay is attempted, and how it ended is recorded.
//!
//! `intake` and the hand-off bring units, `scheduler` and `lanes` give them to a `worker` of their
//! next hop, which sends (`deliver_local`, `deliver_remote`); `failure` decides what a refusal
//! means, `conclude` what is recorded, `settle` records it.

pub(crate) mod attempt;
pub(crate) mod census;
pub(crate) mod conclude;
pub(crate) mod content;
pub(crate) mod deliver_local;
pub(crate) mod deliver_remote;
pub(crate) mod engine;
pub(crate) mod events;
pub(crate) mod expiry;
pub(crate) mod failure;
pub(crate) mod fair_queue;
pub(crate) mod fate;
pub(crate) mod held;
pub(crate) mod intake;
pub(crate) mod lanes;
pub(crate) mod life;
pub(crate) mod metrics;
pub(crate) mod mx;
pub(crate) mod notify;
pub(crate) mod retry;
pub(crate) mod route;
pub(crate) mod scheduler;
pub(crate) mod settle;
pub(crate) mod shipped;
pub(crate) mod suspensions;
pub(crate) mod worker;
