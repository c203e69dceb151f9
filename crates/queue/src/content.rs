//! The content of a message (RFC 5321 §2.3.9), and how it is read back from the queue.

use bytes::Bytes;

/// The content as it will be sent: a few octets put before what came in, and what came in.
///
/// Two parts, so that adding trace fields to a large message copies nothing. Cloning copies
/// nothing either.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content {
    prefix: Bytes,
    received: Bytes,
}

impl Content {
    /// Puts header fields before the octets that came in.
    #[must_use]
    pub fn new(prefix: impl Into<Bytes>, received: impl Into<Bytes>) -> Self {
        Self {
            prefix: prefix.into(),
            received: received.into(),
        }
    }

    /// Size in octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.prefix.len() + self.received.len()
    }

    /// Whether there is not one octet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The octets in order, in the pieces in which they lie in memory.
    #[must_use]
    pub fn parts(&self) -> [Bytes; 2] {
        [self.prefix.clone(), self.received.clone()]
    }

    /// All octets in one piece; copies only when something was put before.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        if self.prefix.is_empty() {
            return self.received.clone();
        }
        [&self.prefix[..], &self.received[..]].concat().into()
    }
}

impl From<Bytes> for Content {
    fn from(received: Bytes) -> Self {
        Self {
            prefix: Bytes::new(),
            received,
        }
    }
}

impl From<Vec<u8>> for Content {
    fn from(received: Vec<u8>) -> Self {
        Bytes::from(received).into()
    }
}

/// Content is private: only its size is shown.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({} octets)", self.len())
    }
}
