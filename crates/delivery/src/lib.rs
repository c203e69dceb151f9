//! The delivery service: puts messages into local mailboxes and answers for the directory.
mod copy;
mod failure;
mod mailboxes;
pub mod maildir;
pub use mailboxes::Mailboxes;
