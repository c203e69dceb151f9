//! The names of things in the queue: messages, units, incarnations, tenants, shards.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;
use uuid::Uuid;

/// A slice of the queue. Every hot primary key starts with it, and one batch touches one shard,
/// so that the tables can be spread over several database nodes without a rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(u8);

impl Shard {
    /// How many shards there are.
    pub const COUNT: u8 = 16;

    /// The shard of that number, unless it is out of range.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < Self::COUNT {
            Some(Self(number))
        } else {
            None
        }
    }

    /// All shards in order.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// The number, from 0 on.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The number as the `smallint` of the tables.
    pub(crate) const fn column(self) -> i16 {
        self.0 as i16
    }

    /// The shard so many steps on, going round.
    pub(crate) fn after(self, steps: u64) -> Self {
        let count = u64::from(Self::COUNT);
        let number = (u64::from(self.0) + steps % count) % count;
        // Below COUNT, so that it fits.
        Self(u8::try_from(number).unwrap_or(0))
    }

    /// A shard by chance.
    pub(crate) fn random() -> Self {
        Self(rand::random_range(0..Self::COUNT))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a queued message: a UUIDv7 (RFC 9562 §5.7) whose last octet is its [`Shard`].
///
/// It is made before the message is inserted. Its text is the hyphenated UUID, the very text
/// that `psql` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Uuid", into = "Uuid")]
pub struct QueueId(Uuid);

impl QueueId {
    /// A new name in that shard. Names made later sort later (to the millisecond).
    #[must_use]
    pub fn generate(shard: Shard) -> Self {
        let mut octets = Uuid::now_v7().into_bytes();
        octets[15] = shard.0;
        Self(Uuid::from_bytes(octets))
    }

    /// The shard that the message lives in.
    #[must_use]
    pub const fn shard(self) -> Shard {
        Shard(self.0.as_bytes()[15])
    }

    /// When the name was made, to the millisecond.
    #[must_use]
    pub fn created_at(self) -> OffsetDateTime {
        let (seconds, nanoseconds) = self
            .0
            .get_timestamp()
            .map_or((0, 0), |timestamp| timestamp.to_unix());
        let nanoseconds = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// The UUID.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

/// The text or UUID is no [`QueueId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a queue id: a UUID whose last octet is below {count}", count = Shard::COUNT)]
pub struct QueueIdError;

impl TryFrom<Uuid> for QueueId {
    type Error = QueueIdError;

    fn try_from(uuid: Uuid) -> Result<Self, Self::Error> {
        Shard::new(uuid.as_bytes()[15])
            .map(|_| Self(uuid))
            .ok_or(QueueIdError)
    }
}

impl From<QueueId> for Uuid {
    fn from(id: QueueId) -> Self {
        id.0
    }
}

impl FromStr for QueueId {
    type Err = QueueIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::from_str(text).map_err(|_| QueueIdError)?.try_into()
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// The name of a unit: what is leased, the recipients of one message that share a routing domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnitId {
    /// The message.
    pub queue_id: QueueId,
    /// The number of the unit within its message, from 0 on.
    pub number: i32,
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.queue_id, self.number)
    }
}

/// One running relay process. Never used again once it has ended or was pronounced dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IncarnationId(pub i64);

impl fmt::Display for IncarnationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A customer of the provider: the unit of fairness and of accounts.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Tenant(pub i64);

impl Tenant {
    /// Who owns mail that no account and no local domain lays claim to.
    pub const NONE: Self = Self(0);
}

impl From<i64> for Tenant {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One slice of the mail: what a tenant sends to one routing domain. The unit of fairness among
/// ready mail and of suspension.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DestinationKey {
    /// Whose mail.
    pub tenant: Tenant,
    /// The routing domain, in lower case: a name, or an address literal in brackets.
    pub domain: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_queue_id_tells_its_shard_and_reads_back_from_its_text() {
        for shard in Shard::all() {
            let id = QueueId::generate(shard);
            assert_eq!(id.shard(), shard);
            assert_eq!(id.to_string().parse::<QueueId>().unwrap(), id);
            assert_eq!(id.as_uuid().get_version_num(), 7);
        }
    }

    #[test]
    fn a_queue_id_tells_when_it_was_made() {
        let before = OffsetDateTime::now_utc() - time::Duration::milliseconds(1);
        let made = QueueId::generate(Shard::random()).created_at();
        assert!(before <= made && made <= OffsetDateTime::now_utc());
    }

    #[test]
    fn a_uuid_beyond_the_shards_is_no_queue_id() {
        assert_eq!(
            "018f0000-0000-7000-8000-0000000000ff".parse::<QueueId>(),
            Err(QueueIdError)
        );
        assert_eq!("nonsense".parse::<QueueId>(), Err(QueueIdError));
    }
}
