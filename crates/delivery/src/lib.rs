//! Chasqui's mail delivery agent: Maildir, LMTP, and the directory for the fleet.
//!
//! A message comes from a relay by gRPC (`answers`) or from a trusted host by LMTP (`lmtp`).
//! `mailboxes` asks the directory for the accounts behind each recipient and puts a copy
//! (`copy`) into each one's [`maildir`]; `failure` says what it means when that fails.
//!
//! Invariant: Delivered means that the copy is durable in the mailbox.
//! Invariant: delivering again what was delivered changes nothing.
//! Invariant: a trouble of ours is a 4yz status; only what is wrong with the recipient is 5yz.

mod answers;
mod config;
mod copy;
mod failure;
mod lmtp;
mod mailboxes;
mod running;

pub mod maildir;

pub use config::{Config, ENVIRONMENT_PREFIX, Limits, LmtpSection, MaildirSection};
pub use mailboxes::Mailboxes;
pub use running::{Running, StartError, run};
pub use service::RunError;
