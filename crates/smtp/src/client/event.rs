//! What a client session tells its driver.

use super::{Ending, Stage, TransactionResult};
use crate::extension::Extensions;
use crate::reply::Reply;

/// What the driver is told. Events come in the order of what caused them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The session is open, with these extensions; none after HELO. Raised again after STARTTLS,
    /// when only the second list counts (RFC 3207 §4.2).
    Ready(Extensions),
    /// The server waits for the TLS handshake: do it, then call
    /// [`Session::tls_established`](super::Session::tls_established).
    StartTls,
    /// The login was accepted; the session is ready.
    Authenticated,
    /// The server refused to open the session ([`Stage::Greeting`], [`Stage::Hello`]), which can
    /// only quit now, or to start TLS ([`Stage::StartTls`]) or a login ([`Stage::Auth`]), which
    /// leaves it ready as it was.
    Refused {
        /// What was refused.
        stage: Stage,
        /// The server's words.
        reply: Reply,
    },
    /// The server waits for content: write it, then call
    /// [`Session::content_sent`](super::Session::content_sent), or
    /// [`Session::abandon`](super::Session::abandon) if it must not be completed.
    SendContent,
    /// The transaction is over, however it ended. Each successful
    /// [`Session::begin`](super::Session::begin) leads to this exactly once.
    TransactionDone(TransactionResult),
    /// The session is over: close the connection. The last event.
    Closed {
        /// How far it had come.
        stage: Stage,
        /// Why it is over.
        ending: Ending,
    },
}
