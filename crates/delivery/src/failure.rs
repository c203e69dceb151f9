//! What a failure here means for the recipient.
//!
//! Invariant: our own trouble is never a permanent failure.

use std::io::ErrorKind;

use directory::DirectoryError;
use smtp::{EnhancedStatus, Outcome, Report};
use tracing::warn;

use crate::maildir::DepositError;

/// The copy could not be put into the mailbox.
pub(crate) fn not_deposited(error: &DepositError) -> Outcome {
    let (status, detail) = match error {
        DepositError::Io { source, .. } => match source.kind() {
            ErrorKind::QuotaExceeded => (
                EnhancedStatus::new(4, 2, 2),
                "the mailbox is over its quota",
            ),
            ErrorKind::StorageFull => (
                EnhancedStatus::new(4, 3, 1),
                "there is no space left for mail",
            ),
            _ => (
                EnhancedStatus::new(4, 3, 0),
                "the mailbox cannot be written to now",
            ),
        },
        DepositError::Overloaded | DepositError::TooSlow => (
            EnhancedStatus::new(4, 3, 2),
            "the mail storage is too busy now",
        ),
        DepositError::Stopped => (EnhancedStatus::new(4, 3, 2), "the service is shutting down"),
    };
    Outcome::Deferred(Report::new(status, None, detail))
}

/// The directory did not answer (RFC 3463 §3.5, X.4.3).
pub(crate) fn not_resolved(error: &DirectoryError) -> Outcome {
    warn!(
        error = service::one_line(error),
        "a recipient cannot be looked up"
    );
    Outcome::Deferred(Report::new(
        EnhancedStatus::new(4, 4, 3),
        None,
        "the directory of mailboxes does not answer now",
    ))
}

/// Nobody by that name (RFC 3463 §3.2, X.1.1).
pub(crate) fn unknown() -> Outcome {
    Outcome::Failed(Report::new(
        EnhancedStatus::new(5, 1, 1),
        None,
        "there is no such mailbox here",
    ))
}

/// The account takes no mail (RFC 3463 §3.3, X.2.1).
pub(crate) fn disabled() -> Outcome {
    Outcome::Failed(Report::new(
        EnhancedStatus::new(5, 2, 1),
        None,
        "the mailbox is disabled",
    ))
}

/// The domain is not ours, or not any more: the relay will route the next attempt anew.
pub(crate) fn not_local() -> Outcome {
    Outcome::Deferred(Report::new(
        EnhancedStatus::new(4, 3, 5),
        None,
        "mail for this domain is not delivered here",
    ))
}

/// The domain is not ours, and by LMTP we take mail for nobody else (RFC 3463 §3.8, X.7.1).
pub(crate) fn relaying_denied() -> Outcome {
    Outcome::Failed(Report::new(
        EnhancedStatus::new(5, 7, 1),
        None,
        "mail for this domain is not taken here",
    ))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn status_of(source: impl Into<io::Error>) -> String {
        let error = DepositError::Io {
            step: "write the message",
            source: source.into(),
        };
        let outcome = not_deposited(&error);
        assert!(outcome.is_deferred());
        outcome.report().status.to_string()
    }

    #[test]
    fn full_and_broken_storage_are_told_apart_and_never_permanent() {
        use nix::errno::Errno;
        assert_eq!(status_of(Errno::EDQUOT), "4.2.2");
        assert_eq!(status_of(Errno::ENOSPC), "4.3.1");
        for errno in [
            Errno::EIO,
            Errno::EACCES,
            Errno::EROFS,
            Errno::ELOOP,
            Errno::EMFILE,
        ] {
            assert_eq!(status_of(errno), "4.3.0");
        }
    }
}
