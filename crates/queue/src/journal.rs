//! The journal of attempts.

use std::net::IpAddr;
use std::time::Duration;

use smtp::EnhancedStatus;

/// One line of the journal: an attempt, for the recipients that fared alike in it.
///
/// Unit, attempt number, incarnation, routing domain and trace are taken from the lease and the
/// message.
#[derive(Clone, Debug)]
pub struct JournalEntry {
    /// The numbers of the recipients concerned.
    pub recipients: Vec<i32>,
    /// How it ended.
    pub outcome: JournalOutcome,
    /// The enhanced status.
    pub status: EnhancedStatus,
    /// The far end's reply, or our words where it said nothing: one line.
    pub reply: String,
    /// The address the connection was made from.
    pub source_address: Option<IpAddr>,
    /// The name of the host that was tried: MX, smart host or delivery.
    pub host: Option<String>,
    /// Its address.
    pub host_address: Option<IpAddr>,
    /// TLS version and cipher, or why there was none.
    pub tls: Option<String>,
    /// How long the attempt took.
    pub duration: Duration,
}

/// How an attempt ended, in the journal's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JournalOutcome {
    /// The next hop took responsibility.
    Delivered,
    /// To be tried again.
    Deferred,
    /// Failed for good.
    Failed,
    /// Given up because its time was up.
    Expired,
    /// Thrown away by a route.
    Discarded,
    /// Given back untried, or held.
    Returned,
}

impl JournalOutcome {
    /// The word that stands in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Deferred => "deferred",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Discarded => "discarded",
            Self::Returned => "returned",
        }
    }
}
