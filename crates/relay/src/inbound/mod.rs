//! Inbound: mail from other servers on port 25 becomes queued mail.

pub(crate) mod accept;
pub(crate) mod policy;
pub(crate) mod refusal;
