//! The way to the database, and what is demanded of it.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

/// How to reach the queue database.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:port/database`. Secret: it may hold a password.
    pub url: String,
    /// Connections for claims and everything else that isn't batched. The committers of
    /// [`crate::Enqueuer`] and [`crate::Completer`] and each [`crate::Heart`] have their own.
    pub max_connections: u32,
    /// Longest wait for one of them.
    pub acquire_timeout: Duration,
}

impl DatabaseConfig {
    /// Eight connections, and waits of at most 5 seconds.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 8,
            acquire_timeout: Duration::from_secs(5),
        }
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseConfig")
            .field("max_connections", &self.max_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .finish_non_exhaustive()
    }
}

/// Why the queue database is not used.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The URL is malformed.
    #[error("the database URL is malformed")]
    Url(#[source] sqlx::Error),
    /// The database cannot be reached.
    #[error("the queue database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// The server would lose acknowledged mail in a crash.
    #[error(
        "the database server runs with fsync=off and would lose acknowledged mail in a crash: set fsync=on"
    )]
    Unsafe,
    /// The schema was never set up.
    #[error("the queue schema is missing: run the migrations")]
    SchemaMissing,
    /// The schema is older than this program needs.
    #[error(
        "the queue schema is at version {found}, this program needs {needed}: run the migrations"
    )]
    SchemaTooOld {
        /// The version of the schema.
        found: i32,
        /// The version that the program needs.
        needed: i32,
    },
    /// The schema no longer serves a program of this age.
    #[error(
        "the queue schema serves programs from version {oldest} on, this one is {this}: upgrade the program"
    )]
    ProgramTooOld {
        /// The oldest version that the schema serves.
        oldest: i32,
        /// The version of the program.
        this: i32,
    },
}

/// The queue: a pool of connections to its database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    _pool: sqlx::PgPool,
}

impl Queue {
    /// Connects and checks that the server is durable and the schema fits.
    ///
    /// # Errors
    /// Any [`ConnectError`].
    pub async fn connect(_config: &DatabaseConfig) -> Result<Self, ConnectError> {
        todo!()
    }
}
