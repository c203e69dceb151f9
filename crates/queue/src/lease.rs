//! A unit in the hands of one incarnation.

use smtp::{Body, Mailbox, ReversePath};
use time::OffsetDateTime;

use crate::content::Content;
use crate::ids::{DestinationKey, IncarnationId, Tenant, UnitId};
use crate::trace::TraceParent;

/// The right to attempt a unit. Whatever the holder reports is believed only while unit, holder
/// and attempt still match the database: a lease that was taken over changes nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// What is leased.
    pub unit: UnitId,
    /// Who holds it.
    pub holder: IncarnationId,
    /// Which attempt this is, from 1 on.
    pub attempt: i32,
}

/// One recipient of a leased unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedRecipient {
    /// Its number within the message; the same in every attempt.
    pub number: i32,
    /// Where the message goes.
    pub mailbox: Mailbox,
}

/// All that an attempt needs to know.
#[derive(Clone, Debug)]
pub struct LeasedUnit {
    /// The right to attempt it.
    pub lease: Lease,
    /// Whose mail it is.
    pub tenant: Tenant,
    /// The routing domain, in lower case: a name, or an address literal in brackets.
    pub domain: String,
    /// Where failures are reported to.
    pub reverse_path: ReversePath,
    /// What the content's octets are.
    pub body: Body,
    /// The recipients that are not settled yet, at least one.
    pub recipients: Vec<LeasedRecipient>,
    /// Size of the content in octets.
    pub size: u64,
    /// The content, where it is at hand; else [`crate::Queue::load_content`] reads it.
    pub content: Option<Content>,
    /// When the message was accepted.
    pub accepted_at: OffsetDateTime,
    /// When it is given up. Even after that moment it gets the attempt it is leased for.
    pub expires_at: OffsetDateTime,
    /// The trace of its acceptance.
    pub trace: TraceParent,
    /// Attempts so far that count for the back-off, this one not included. A hand-off's are 0.
    pub tries: i32,
    /// How often a relay died while it held the unit. From
    /// [`SUSPECT_TAKEOVERS`](crate::SUSPECT_TAKEOVERS) on it is attempted alone.
    pub unclean_takeovers: i16,
    /// Whether this attempt finds out if a suspended destination is back.
    pub probe: bool,
}

impl LeasedUnit {
    /// The tenant and routing domain, under which suspensions are kept.
    #[must_use]
    pub fn destination(&self) -> DestinationKey {
        DestinationKey {
            tenant: self.tenant,
            domain: self.domain.clone(),
        }
    }
}
