//! The envelope: who sent a message, who gets it, and under which parameters (RFC 5321 §2.3.1).

use std::collections::HashSet;
use std::fmt;

use crate::address::Mailbox;
use crate::path::{ForwardPath, ReversePath};

/// What the client declares about the octets of the content: `BODY=` (RFC 6152 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// `7BIT`: ASCII only.
    SevenBit,
    /// `8BITMIME`: MIME with octets above 127.
    EightBitMime,
}

impl Body {
    /// The value of the `BODY=` parameter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
        }
    }

    /// Parses the value of a `BODY=` parameter, in any case.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        [Self::SevenBit, Self::EightBitMime]
            .into_iter()
            .find(|body| value.eq_ignore_ascii_case(body.as_str()))
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The parameters of `MAIL FROM:`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// `SIZE=`: the content's size in octets, as estimated by the client (RFC 1870 §6).
    pub size: Option<u64>,
    /// `BODY=` (RFC 6152).
    pub body: Option<Body>,
    /// `AUTH=`: who submitted the message first, decoded from xtext; `<>` when unknown
    /// (RFC 4954 §5).
    pub auth: Option<String>,
}

/// The parameters of `RCPT TO:`. None yet: DSN (RFC 3461) is not announced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RcptParameters {}

/// One recipient of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Where the mail goes.
    pub path: ForwardPath,
    /// The parameters of its `RCPT TO:`.
    pub parameters: RcptParameters,
}

impl Recipient {
    /// A recipient without parameters.
    #[must_use]
    pub fn new(path: ForwardPath) -> Self {
        Self {
            path,
            parameters: RcptParameters::default(),
        }
    }
}

/// The envelope of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Where failures are reported to.
    pub reverse_path: ReversePath,
    /// The parameters of `MAIL FROM:`.
    pub parameters: MailParameters,
    /// The accepted recipients, in the order of their `RCPT TO:`.
    pub recipients: Vec<Recipient>,
}

/// The recipients in their order, each named once however often it was given: nobody is to get a
/// message twice because a client said RCPT twice.
#[must_use]
pub fn each_once(recipients: &[Mailbox]) -> Vec<Mailbox> {
    let mut seen = HashSet::with_capacity(recipients.len());
    recipients
        .iter()
        .filter(|recipient| seen.insert(*recipient))
        .cloned()
        .collect()
}
