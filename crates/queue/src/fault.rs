//! What kind of trouble a failed statement is in.

use std::sync::Arc;

use crate::error::QueueError;

/// What a failure means for the statement that ran, and what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not now; nothing was changed.
    Unavailable,
    /// No space left; nothing was changed.
    DiskFull,
    /// The answer never came: the statement may have taken effect.
    Unknown,
    /// The data are at fault; in a batch, some row's.
    Data,
    /// Two transactions got in each other's way: the same statement may succeed at once.
    Collision,
    /// The statement is at fault: a bug, or a schema that doesn't fit.
    Statement,
}

impl Fault {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => error
                .code()
                .map_or(Self::Statement, |state| Self::of_state(&state)),
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Self::Unavailable,
            sqlx::Error::Encode(_) => Self::Data,
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::TypeNotFound { .. } => Self::Statement,
            _ => Self::Unknown,
        }
    }

    /// By SQLSTATE (PostgreSQL manual, appendix A). A server that still reports an error has
    /// rolled back.
    fn of_state(state: &str) -> Self {
        match state {
            "53100" => Self::DiskFull,
            // Deadlock, and serialization failure.
            "40P01" | "40001" => Self::Collision,
            // The server speaks of the connection's end rather than of the statement's.
            "08007" | "40003" => Self::Unknown,
            // The server is a standby now.
            "25006" => Self::Unavailable,
            _ => match state.get(..2) {
                // Data exception, constraint violation.
                Some("22" | "23") => Self::Data,
                // Connection exception, insufficient resources, operator intervention
                // (shutdown, statement timeout), system error, lock not available.
                Some("08" | "53" | "57" | "58" | "55") => Self::Unavailable,
                _ => Self::Statement,
            },
        }
    }

    /// Whether the connection is of no more use: it is broken, leads to a server that no longer
    /// takes writes (25006, after a fail-over), or has prepared a statement that the schema has
    /// outgrown.
    pub(crate) fn ends_connection(error: &sqlx::Error) -> bool {
        match (Self::of(error), error) {
            (_, sqlx::Error::Database(error)) if error.code().as_deref() == Some("25006") => true,
            (Self::Data | Self::Collision | Self::DiskFull, _) => false,
            // Statement timeouts and full tables of locks pass; the rest ends sessions.
            (Self::Unavailable, sqlx::Error::Database(error)) => error
                .code()
                .is_none_or(|state| state.starts_with("08") || state.starts_with("57P")),
            _ => true,
        }
    }
}

impl From<sqlx::Error> for QueueError {
    fn from(error: sqlx::Error) -> Self {
        let fault = Fault::of(&error);
        let cause = Arc::new(error);
        match fault {
            Fault::Unavailable | Fault::Collision => Self::Unavailable(cause),
            Fault::DiskFull => Self::DiskFull(cause),
            Fault::Unknown => Self::Unknown(cause),
            Fault::Data | Fault::Statement => Self::Rejected(cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_are_told_apart() {
        for (state, fault) in [
            ("53100", Fault::DiskFull),
            ("53300", Fault::Unavailable),
            ("57P01", Fault::Unavailable),
            ("57014", Fault::Unavailable),
            ("22P02", Fault::Data),
            ("23505", Fault::Data),
            ("40P01", Fault::Collision),
            ("25006", Fault::Unavailable),
            ("42P01", Fault::Statement),
            ("", Fault::Statement),
        ] {
            assert_eq!(Fault::of_state(state), fault, "{state}");
        }
    }

    #[test]
    fn a_lost_connection_leaves_the_outcome_unknown() {
        let lost = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert_eq!(Fault::of(&lost), Fault::Unknown);
        assert!(Fault::ends_connection(&lost));
    }
}
