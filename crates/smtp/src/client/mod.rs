//! The client side: a session that sends mail to one SMTP or LMTP server.
//!
//! A [`Session`] takes what the server says and the time, and gives [`Event`]s and bytes to write.
//! Whoever drives it owns the socket, the TLS handshake and the clock:
//!
//! ```text
//! loop {
//!     write(session.take_output());
//!     match session.next_event() {
//!         Some(Event::Ready(_))           => session.start_tls(now), authenticate(login, password, now),
//!                                            begin(&transaction, now) or quit(now)
//!         Some(Event::StartTls)           => handshake, then session.tls_established(now)
//!         Some(Event::Authenticated)      => begin or quit
//!         Some(Event::SendContent)        => write every chunk of content::Encoder, then
//!                                            session.content_sent(now) or session.abandon()
//!         Some(Event::TransactionDone(_)) => the next begin, or quit
//!         Some(Event::Refused { .. })     => quit
//!         Some(Event::Closed { .. })      => close the socket
//!         None => read until session.deadline(): session.feed(bytes, now), .disconnected(), .timed_out(now)
//!     }
//! }
//! ```
//!
//! Content never passes through the session: it goes from the message's own buffers to the socket.
//! What the session does write is the final dot, and only on [`Session::content_sent`].

pub mod content;

mod config;
mod event;
mod result;
mod session;
mod transaction;

pub use crate::dialect::Dialect;
pub use config::{Config, Timeouts};
pub use event::Event;
pub use result::{
    Ending, NotAuthenticated, NotBegun, NotReady, ProtocolError, RecipientResult, Stage,
    TransactionResult,
};
pub use session::Session;
pub use transaction::Transaction;
