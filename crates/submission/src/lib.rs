//! Chasqui's message submission agent (RFC 6409): 587 with STARTTLS, 465 with implicit TLS, AUTH.
//!
//! A mail client logs in, and the message that it submits is completed, queued and handed to a
//! relay. What is decided lives in `policy`, what is done with a message in `accept`; `session`
//! joins both to the verbs of SMTP, and `start` and `running` set it all going.
//!
//! Invariant: `250` after the final dot means that the COMMIT has succeeded.
//! Invariant: a trouble of ours is a 4yz reply; only the client's own fault is 5yz.

mod accept;
mod config;
mod limits;
mod metrics;
mod policy;
mod refusal;
mod running;
mod session;
mod start;
mod wiring;

pub use config::{Config, ENVIRONMENT_PREFIX, Limits};
pub use running::{Running, Socket};
pub use service::RunError;
pub use start::{StartError, run};
