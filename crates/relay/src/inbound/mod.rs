//! Inbound: mail from other servers on port 25 becomes queued mail.

pub mod accept;
pub mod policy;
pub mod refusal;
