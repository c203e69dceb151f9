//! What an attempt found out about a unit: the seam between sending (`deliver_local`,
//! `deliver_remote`) and what is made of it (`conclude`).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use smtp::Outcome;

use super::failure::Failure;

/// The result of one attempt at one unit.
#[derive(Debug, Clone)]
pub(crate) struct Attempted {
    /// What was said on recipients, by recipient number.
    pub(crate) said: Vec<(i32, Said)>,
    /// Why nothing is known of the others: the session, the host, or something of ours failed.
    pub(crate) undecided: Option<Failure>,
    /// Whom we spoke with last.
    pub(crate) far_end: Arc<FarEnd>,
    /// From the lease to the last word.
    pub(crate) duration: Duration,
}

/// A word on one recipient.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// What it means.
    pub(crate) outcome: Outcome,
    /// Who said it.
    pub(crate) far_end: Arc<FarEnd>,
}

/// Whom an attempt spoke with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FarEnd {
    /// Our address on that connection.
    pub(crate) source_address: Option<IpAddr>,
    /// Name of the host.
    pub(crate) host: Option<String>,
    /// Its address.
    pub(crate) host_address: Option<IpAddr>,
    /// TLS version and cipher; `none` on a plain connection.
    pub(crate) tls: Option<String>,
}

impl Attempted {
    /// All recipients share one failure.
    pub(crate) fn failed(failure: Failure, duration: Duration) -> Self {
        Self {
            said: Vec::new(),
            undecided: Some(failure),
            far_end: Arc::default(),
            duration,
        }
    }
}
