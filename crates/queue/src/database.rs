//! The way to the database, and what is demanded of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use thiserror::Error;

use crate::way::Way;

/// The version of the schema that this program needs: `queue.compatibility.version`.
pub(crate) const NEEDED_SCHEMA: i32 = 3;
/// The version of this program in the eyes of the schema: `queue.compatibility.serves_from`.
pub(crate) const PROGRAM: i32 = 3;

/// What every session sets.
///
/// The plans that matter are prepared once and generic: nested loops over indexes, right at any
/// size. Statistics of a queue are always wrong (empty now, a million rows a minute later), so that
/// scans of whole tables are ruled out rather than estimated, and compiling is never worth it.
const SESSION: [(&str, &str); 9] = [
    ("synchronous_commit", "on"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("jit", "off"),
    ("TimeZone", "UTC"),
    ("statement_timeout", "8s"),
    ("idle_in_transaction_session_timeout", "8s"),
    ("client_min_messages", "warning"),
];

/// The same, for commits that a crash of the server may undo.
const RELAXED_SESSION: [(&str, &str); 9] = {
    let mut session = SESSION;
    session[0] = ("synchronous_commit", "off");
    session
};

/// Longest wait for a statement's answer. Longer than `statement_timeout`, so that a server that
/// still answers says itself what became of the statement.
pub(crate) const STATEMENT_DEADLINE: Duration = Duration::from_secs(10);

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
    /// Whether the way leads through a pooler that gives each transaction another session, such as
    /// PgBouncer in transaction mode. Nothing is kept prepared then, and migrations need another
    /// way.
    pub transaction_pooler: bool,
}

impl DatabaseConfig {
    /// Eight connections, and waits of at most 5 seconds.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 8,
            acquire_timeout: Duration::from_secs(5),
            transaction_pooler: false,
        }
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseConfig")
            .field("max_connections", &self.max_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("transaction_pooler", &self.transaction_pooler)
            .finish_non_exhaustive()
    }
}

/// Why the queue database is not used.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The URL is malformed.
    #[error("the database URL is malformed")]
    Url(#[source] sqlx::Error),
    /// The database cannot be reached, or doesn't answer as it should.
    #[error("the queue database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// The server would lose acknowledged mail in a crash.
    #[error(
        "the database server runs with fsync=off and would lose acknowledged mail in a crash: set fsync=on"
    )]
    Unsafe,
    /// The schema was never set up.
    #[error("the queue schema is missing: run `chasqui migrate`")]
    SchemaMissing,
    /// The schema is older than this program needs.
    #[error(
        "the queue schema is at version {found}, this program needs {needed}: run `chasqui migrate`"
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
#[derive(Clone)]
pub struct Queue {
    pool: PgPool,
    way: Way,
    relaxed: Way,
}

impl Queue {
    /// Connects and checks that the server is durable and the schema fits.
    ///
    /// # Errors
    /// Any [`ConnectError`].
    pub fn connect(config: &DatabaseConfig) -> BoxFuture<'_, Result<Self, ConnectError>> {
        // Boxed for the sake of build time, as every `Answer` is.
        Box::pin(async move {
            let way = way(config, &SESSION)?;
            let pool = PgPoolOptions::new()
                .max_connections(config.max_connections)
                .acquire_timeout(config.acquire_timeout)
                .connect_with(PgConnectOptions::clone(&way.options))
                .await
                .map_err(ConnectError::Unreachable)?;
            check(&pool).await?;
            crate::metrics::observe(&pool);
            Ok(Self {
                pool,
                relaxed: self::way(config, &RELAXED_SESSION)?,
                way,
            })
        })
    }

    /// Connections for what isn't batched.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The way to the server.
    pub(crate) fn way(&self) -> &Way {
        &self.way
    }

    /// The way for commits that don't wait for the disk.
    pub(crate) fn relaxed_way(&self) -> &Way {
        &self.relaxed
    }
}

/// Without connection details, which may hold a password.
impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("connections", &self.pool.size())
            .finish_non_exhaustive()
    }
}

fn way(config: &DatabaseConfig, settings: &[(&str, &str)]) -> Result<Way, ConnectError> {
    let options = PgConnectOptions::from_str(&config.url)
        .map_err(ConnectError::Url)?
        .application_name("chasqui queue")
        .disable_statement_logging();
    Ok(if config.transaction_pooler {
        Way::by_transactions(options, settings)
    } else {
        Way::direct(options, settings)
    })
}

/// What must be true before the queue is used. One transaction: through some poolers, each
/// statement would meet another session than the one that prepared it.
async fn check(pool: &PgPool) -> Result<(), ConnectError> {
    let mut transaction = pool.begin().await.map_err(ConnectError::Unreachable)?;
    check_durability(&mut transaction).await?;
    check_compatibility(&mut transaction).await
}

async fn check_durability(connection: &mut PgConnection) -> Result<(), ConnectError> {
    let fsync: String = sqlx::query_scalar("SELECT current_setting('fsync')")
        .persistent(false)
        .fetch_one(connection)
        .await
        .map_err(ConnectError::Unreachable)?;
    if fsync == "on" {
        Ok(())
    } else {
        Err(ConnectError::Unsafe)
    }
}

/// Additive migrations of newer programs only raise `version`, and are welcome.
async fn check_compatibility(connection: &mut PgConnection) -> Result<(), ConnectError> {
    let known: Option<bool> =
        sqlx::query_scalar("SELECT to_regclass('queue.compatibility') IS NOT NULL")
            .persistent(false)
            .fetch_one(&mut *connection)
            .await
            .map_err(ConnectError::Unreachable)?;
    if known != Some(true) {
        return Err(ConnectError::SchemaMissing);
    }
    let found: Option<(i32, i32)> =
        sqlx::query_as("SELECT version, serves_from FROM queue.compatibility")
            .persistent(false)
            .fetch_optional(connection)
            .await
            .map_err(ConnectError::Unreachable)?;
    let (found, oldest) = found.ok_or(ConnectError::SchemaMissing)?;
    if found < NEEDED_SCHEMA {
        return Err(ConnectError::SchemaTooOld {
            found,
            needed: NEEDED_SCHEMA,
        });
    }
    if oldest > PROGRAM {
        return Err(ConnectError::ProgramTooOld {
            oldest,
            this: PROGRAM,
        });
    }
    Ok(())
}
