//! What a server session asks and tells.

use std::fmt;

use bytes::Bytes;

use super::auth::Credentials;
use crate::envelope::{Envelope, MailParameters, Recipient};
use crate::path::ReversePath;

/// One thing that happened in a session.
///
/// Questions wait for [`Session::answer`](super::Session::answer), and nothing behind them is
/// looked at before. A reply with code 421 to any of them ends the session.
#[derive(Debug)]
pub enum Event {
    /// Question: a client has connected. Answer 220; 421 closes; after any other refusal the client
    /// can only QUIT (RFC 5321 §3.1).
    Greet,
    /// Question: the client named itself. After a positive answer to EHLO or LHLO the session
    /// appends the list of extensions itself; the reply's text becomes the first line.
    Hello(Hello),
    /// The 220 is in the output: flush it, do the handshake, then call
    /// [`Session::tls_established`](super::Session::tls_established).
    StartTls,
    /// Question: are these credentials good? Answer 235, 535 or 454 (RFC 4954 §6).
    Auth(Credentials),
    /// Question: may this transaction start?
    Mail(Mail),
    /// Question: is this recipient welcome?
    Rcpt(Recipient),
    /// Question: VRFY, with its argument (RFC 5321 §3.5).
    Vrfy(String),
    /// Question: may the content come? Answer 354, or refuse; a refusal leaves the transaction
    /// open.
    Data,
    /// Content, decoded. Not a question. Whether it is good is known at its end only.
    Content(Bytes),
    /// Question: the whole message is here and sound. Answer with
    /// [`Session::answer`](super::Session::answer) or, in LMTP,
    /// [`Session::answer_each`](super::Session::answer_each). The transaction is over.
    ContentEnd(Envelope),
    /// The message broke a limit or a rule; drop what came of it. The session discards the rest
    /// and answers by itself. Not a question.
    ContentRejected,
    /// The transaction was dropped, by RSET, EHLO, STARTTLS, QUIT or a failing connection; drop
    /// what came of it. Not a question.
    Reset,
    /// Flush the output and close the connection. The last event.
    Close,
}

/// Which command a client named itself with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HelloVerb {
    /// `HELO`: plain SMTP, without extensions.
    Helo,
    /// `EHLO`.
    Ehlo,
    /// `LHLO` (RFC 2033).
    Lhlo,
}

impl HelloVerb {
    /// The verb on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Helo => "HELO",
            Self::Ehlo => "EHLO",
            Self::Lhlo => "LHLO",
        }
    }
}

impl fmt::Display for HelloVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a client named itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// HELO, EHLO or LHLO.
    pub verb: HelloVerb,
    /// The name given: one to 255 printable ASCII characters without spaces, otherwise unverified
    /// and perhaps no domain at all. RFC 5321 §4.1.4 forbids to refuse mail for it.
    pub name: String,
}

/// The start of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Where failures are reported to.
    pub reverse_path: ReversePath,
    /// The parameters of `MAIL FROM:`.
    pub parameters: MailParameters,
}
