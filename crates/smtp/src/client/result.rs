//! How a session, a transaction and each of its recipients ended.

use std::fmt;

use thiserror::Error;

use crate::reply::Reply;
use crate::reply_parser::ReplyError;

/// How far a session had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Waiting for the greeting.
    Greeting,
    /// EHLO, HELO or LHLO.
    Hello,
    /// STARTTLS.
    StartTls,
    /// The TLS handshake.
    Tls,
    /// Between transactions, with no command outstanding.
    Ready,
    /// AUTH.
    Auth,
    /// RSET before a further transaction.
    Reset,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA.
    Data,
    /// Content is being written; without the final dot the server must not take it.
    Content,
    /// The final dot is out. Without its reply nobody knows who has the message
    /// (RFC 5321 §4.5.3.2.6, §6.1).
    FinalDot,
    /// QUIT.
    Quit,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "greeting",
            Self::Hello => "hello",
            Self::StartTls => "STARTTLS",
            Self::Tls => "TLS handshake",
            Self::Ready => "idle session",
            Self::Auth => "AUTH",
            Self::Reset => "RSET",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Content => "content",
            Self::FinalDot => "end of data",
            Self::Quit => "QUIT",
        })
    }
}

/// What the server said makes no sense; the session is out of step and over.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// What came is no reply at all.
    #[error(transparent)]
    NotAReply(#[from] ReplyError),
    /// The reply's code does not fit the command.
    #[error("the server's reply does not fit: {0}")]
    Unexpected(Reply),
    /// A reply came to nothing that was asked.
    #[error("the server sent an unasked reply: {0}")]
    Unsolicited(Reply),
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Ending {
    /// QUIT was answered.
    #[error("the session ended with QUIT")]
    Quit,
    /// The server takes its leave: with 421, or by refusing content before it was complete.
    #[error("the server ended the session: {0}")]
    ByServer(Reply),
    /// The connection was closed or lost.
    #[error("the connection was lost")]
    Disconnected,
    /// The server did not answer in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The server broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Protocol(#[source] ProtocolError),
    /// We gave up: [`Session::abandon`](super::Session::abandon), or a QUIT in the middle.
    #[error("the session was abandoned")]
    Abandoned,
}

/// How a transaction ended for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientResult {
    /// The server took responsibility (RFC 5321 §6.1), with this reply to the final dot.
    Accepted(Reply),
    /// The server refused, with 4yz or 5yz at this stage. At [`Stage::Mail`], [`Stage::Data`],
    /// [`Stage::Content`] and, in SMTP, at [`Stage::FinalDot`], the refusal is of the whole
    /// message; a 421 anywhere is of the whole session.
    Refused {
        /// Where it was refused.
        stage: Stage,
        /// The server's words.
        reply: Reply,
    },
    /// The server takes no more recipients in this transaction, after at least one was accepted
    /// (RFC 5321 §4.5.3.1.10): send the message to this one in a next transaction, at once.
    TooManyRecipients(Reply),
    /// The session ended before the server decided. At [`Stage::FinalDot`] the server may have
    /// taken the message all the same; at any other stage it has not.
    Interrupted {
        /// Where it was interrupted.
        stage: Stage,
        /// Why.
        ending: Ending,
    },
}

impl RecipientResult {
    /// Whether the server took responsibility.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted(_))
    }

    /// The server's words, if it said any.
    #[must_use]
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Accepted(reply)
            | Self::Refused { reply, .. }
            | Self::TooManyRecipients(reply) => Some(reply),
            Self::Interrupted { .. } => None,
        }
    }

    /// The stage that decided.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self {
            Self::Accepted(_) => Stage::FinalDot,
            Self::Refused { stage, .. } | Self::Interrupted { stage, .. } => *stage,
            Self::TooManyRecipients(_) => Stage::Rcpt,
        }
    }
}

/// How a transaction ended: a result for each recipient, in the order of
/// [`Transaction::recipients`](super::Transaction::recipients).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionResult {
    /// One for each recipient.
    pub recipients: Vec<RecipientResult>,
}

/// Why a transaction was not begun. The session is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotBegun {
    /// The session is not ready.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// There is nobody to send to.
    #[error("the transaction has no recipients")]
    NoRecipients,
    /// The content has octets above 127, and the server does not offer 8BITMIME (RFC 6152 §3).
    #[error("the server does not take 8bit content")]
    Unsupported8Bit,
    /// The content is larger than the server's SIZE (RFC 1870 §6.1).
    #[error("the server takes no content above {limit} octets")]
    TooLarge {
        /// The largest content that the server takes, in octets.
        limit: u64,
    },
}

/// Why nobody was logged in. The session is as it was, and no credentials were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotAuthenticated {
    /// The session is not ready.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// The session is not in TLS, where a password can be overheard (RFC 4954 §4).
    #[error("a password is not sent in plaintext")]
    InPlaintext,
    /// The server does not offer AUTH PLAIN.
    #[error("the server does not offer AUTH PLAIN")]
    NoPlain,
}

/// The session has not been opened yet, has a transaction under way, or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the session is not ready for that")]
pub struct NotReady;
