//! Chasqui's mail transfer agent (RFC 5321): mail from other servers on port 25 is queued, and
//! whatever is queued is sent to its next hop.
//!
//! `inbound` decides what is taken in; `outbound` leases what is queued, attempts it and records
//! how it ended; `run` starts both.
//!
//! Invariant: `250` after the final dot means that the COMMIT has succeeded.
//! Invariant: outbound alone leases, completes and writes DSNs.
//! Invariant: a trouble of ours is never a 5yz reply and never a bounce.

mod config;
mod inbound;
mod outbound;
mod run;

pub use config::{Config, ENVIRONMENT_PREFIX};
pub use outbound::route::{RouteAction, RouteRule};
pub use run::{Reloader, Running, StartError, run};
pub use service::RunError;
