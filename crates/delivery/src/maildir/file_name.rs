//! File names that say whose copy of which message a file is.

use queue::QueueId;
use time::OffsetDateTime;

/// Stands where Maildir wants a host name. It is the same on all hosts: another instance of this
/// service has to find what this one delivered.
const PLACE: &str = "chasqui";

/// The name of one recipient's copy of one message:
/// `<seconds>.<queue id>_<recipient>.chasqui`, then `,S=<size in octets>`.
///
/// All of it but the size follows from the message and the recipient, so a repeated delivery
/// comes to the same name and finds itself done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName(String);

impl FileName {
    /// The name for recipient number `recipient` of a message.
    #[must_use]
    pub fn new(queue_id: QueueId, recipient: i32, accepted_at: OffsetDateTime) -> Self {
        let seconds = accepted_at.unix_timestamp();
        Self(format!("{seconds}.{queue_id}_{recipient}.{PLACE}"))
    }

    /// The name in `new`.
    pub(super) fn in_new(&self, size: u64) -> String {
        format!("{},S={size}", self.0)
    }

    /// A name in `tmp` that no other try at the same delivery has, on whichever host.
    pub(super) fn in_tmp(&self) -> String {
        format!("{}.{:016x}", self.0, rand::random::<u64>())
    }

    /// Whether an entry of `new` or `cur` is this copy, whatever size and flags it bears.
    pub(super) fn is_of(&self, entry: &[u8]) -> bool {
        entry
            .strip_prefix(self.0.as_bytes())
            .is_some_and(|rest| matches!(rest.first(), None | Some(b',' | b':')))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn name(recipient: i32) -> FileName {
        let id = "018f3a5c-0000-7000-8000-000000000003".parse().unwrap();
        let at = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        FileName::new(id, recipient, at)
    }

    #[test]
    fn the_name_follows_from_message_and_recipient() {
        assert_eq!(
            name(2).in_new(77),
            "1700000000.018f3a5c-0000-7000-8000-000000000003_2.chasqui,S=77"
        );
        assert_ne!(name(2).in_tmp(), name(2).in_tmp());
    }

    #[test]
    fn a_copy_is_known_by_its_name_with_any_flags() {
        let base = "1700000000.018f3a5c-0000-7000-8000-000000000003_2.chasqui";
        for suffix in ["", ",S=77", ",S=77:2,", ",S=78:2,RS", ":2,S"] {
            assert!(name(2).is_of(format!("{base}{suffix}").as_bytes()));
        }
        for other in [
            format!("{base}2"),
            base.replace("_2", "_22"),
            base.replace("03_2", "04_2"),
        ] {
            assert!(!name(2).is_of(other.as_bytes()), "{other}");
        }
    }
}
