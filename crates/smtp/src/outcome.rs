//! What became of one recipient in one attempt.

use std::fmt;

use crate::reply::Reply;
use crate::status::EnhancedStatus;

/// How an attempt ended for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The next hop took responsibility, or the message lies in the mailbox.
    Delivered(Report),
    /// Not now: to be tried again.
    Deferred(Report),
    /// Never: the sender is to be told.
    Failed(Report),
}

/// The words that go with an [`Outcome`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The status for a DSN and for the journal.
    pub status: EnhancedStatus,
    /// The far end's words, verbatim; none when it said nothing.
    pub reply: Option<Reply>,
    /// Our words.
    pub detail: String,
}

impl Report {
    /// Puts a report together.
    #[must_use]
    pub fn new(status: EnhancedStatus, reply: Option<Reply>, detail: impl Into<String>) -> Self {
        Self {
            status,
            reply,
            detail: detail.into(),
        }
    }
}

impl Outcome {
    /// Its name: `delivered`, `deferred` or `failed`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered(_) => "delivered",
            Self::Deferred(_) => "deferred",
            Self::Failed(_) => "failed",
        }
    }

    /// The report, however it ended.
    #[must_use]
    pub fn report(&self) -> &Report {
        match self {
            Self::Delivered(report) | Self::Deferred(report) | Self::Failed(report) => report,
        }
    }

    /// The report, however it ended.
    #[must_use]
    pub fn into_report(self) -> Report {
        match self {
            Self::Delivered(report) | Self::Deferred(report) | Self::Failed(report) => report,
        }
    }

    /// Whether the next hop took responsibility.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        matches!(self, Self::Delivered(_))
    }

    /// Whether the recipient is to be tried again.
    #[must_use]
    pub fn is_deferred(&self) -> bool {
        matches!(self, Self::Deferred(_))
    }

    /// Whether the recipient is given up.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.detail)?;
        match &self.reply {
            Some(reply) => write!(f, " (reply: {reply})"),
            None => Ok(()),
        }
    }
}
