//! SMTP and LMTP as pure state machines: syntax, server and client sessions, no I/O.
//!
//! The words are those of RFC 5321: a [`Mailbox`] in a [`ReversePath`] or a [`ForwardPath`],
//! gathered in an [`Envelope`]; a [`Reply`] with its [`EnhancedStatus`]; an [`Outcome`] per
//! recipient. Bytes and time go into a session as arguments; events and bytes come out.
//!
//! Invariant: no async runtime, no sockets, no DNS and no clock in this crate.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "a test fails by panicking"
    )
)]

mod address;
mod dialect;
mod domain;
mod envelope;
mod extension;
mod outcome;
mod path;
mod reply;
mod reply_parser;
mod status;
mod text;

pub mod client;
pub mod server;

pub use address::{AddressError, LocalPart, Mailbox};
pub use dialect::Dialect;
pub use domain::{Domain, MailDomain};
pub use envelope::{Body, Envelope, MailParameters, RcptParameters, Recipient, each_once};
pub use extension::{Extension, Extensions, Mechanism};
pub use outcome::{Outcome, Report};
pub use path::{ForwardPath, ReversePath};
pub use reply::{Reply, ReplyCode};
pub use reply_parser::{ReplyError, ReplyParser};
pub use status::{EnhancedStatus, StatusClass, StatusError};
pub use text::{XtextError, xtext_decode, xtext_encode};
