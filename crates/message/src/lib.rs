//! Message headers: trace fields, submission fix-ups, delivery status notifications.
//!
//! All of it works on the bytes of a message and never re-serialises them: what is not added or
//! removed on purpose stays as it came, octet for octet, so that signatures survive. Nothing here
//! parses MIME; the header is scanned once, line by line, and the body is not looked at.
//!
//! Invariant: no async runtime, no clock and no I/O in this crate; time comes as an argument.

mod address_list;
mod date;
mod text;

pub mod content;
pub mod dsn;
pub mod from;
pub mod header;
pub mod submission;
pub mod trace;

pub use date::date_time;
