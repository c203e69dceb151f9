//! The server side: a [`Session`] that receives mail from one SMTP or LMTP client.
//!
//! The session answers syntax and sequence errors by itself and raises one [`Event`] per question
//! of policy, holding back everything behind it until the answer is there; so pipelined commands
//! are answered in order, and there is one handler per verb.
//!
//! Invariants: only CR LF `.` CR LF ends content; nothing received in plaintext survives
//! STARTTLS; no buffer grows beyond what one `feed` brought plus one line or chunk.

mod auth;
mod clock;
mod command;
mod config;
mod content;
mod event;
mod line;
mod parameters;
mod replies;
mod session;

pub use crate::dialect::Dialect;
pub use auth::Credentials;
pub use config::{AuthOffer, Config, Timeouts};
pub use event::{Event, Hello, HelloVerb, Mail};
pub use session::Session;
