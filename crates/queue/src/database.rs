//! The way to the database, and what is demanded of it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use thiserror::Error;

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
    /// The database cannot be reached, or doesn't answer as it should.
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
#[derive(Clone)]
pub struct Queue {
    pool: PgPool,
    options: Arc<PgConnectOptions>,
    relaxed: Arc<PgConnectOptions>,
}

impl Queue {
    /// Connects and checks that the server is durable and the schema fits.
    ///
    /// # Errors
    /// Any [`ConnectError`].
    pub fn connect(config: &DatabaseConfig) -> BoxFuture<'_, Result<Self, ConnectError>> {
        // Boxed for the sake of build time, as every `Answer` is.
        Box::pin(async move {
            let options = session_options(&config.url).map_err(ConnectError::Url)?;
            let pool = PgPoolOptions::new()
                .max_connections(config.max_connections)
                .acquire_timeout(config.acquire_timeout)
                .connect_with(options.clone())
                .await
                .map_err(ConnectError::Unreachable)?;
            check_durability(&pool).await?;
            check_compatibility(&pool).await?;
            crate::metrics::observe(&pool);
            Ok(Self {
                pool,
                relaxed: Arc::new(options.clone().options([("synchronous_commit", "off")])),
                options: Arc::new(options),
            })
        })
    }

    /// Connections for what isn't batched.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// How to open a connection of one's own.
    pub(crate) fn options(&self) -> Arc<PgConnectOptions> {
        Arc::clone(&self.options)
    }

    /// How to open a connection whose commits don't wait for the disk.
    pub(crate) fn relaxed_options(&self) -> Arc<PgConnectOptions> {
        Arc::clone(&self.relaxed)
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

fn session_options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(PgConnectOptions::from_str(url)?
        .application_name("chasqui queue")
        .options(SESSION)
        .disable_statement_logging())
}

async fn check_durability(pool: &PgPool) -> Result<(), ConnectError> {
    let fsync: String = sqlx::query_scalar("SELECT current_setting('fsync')")
        .fetch_one(pool)
        .await
        .map_err(ConnectError::Unreachable)?;
    if fsync == "on" {
        Ok(())
    } else {
        Err(ConnectError::Unsafe)
    }
}

/// Additive migrations of newer programs only raise `version`, and are welcome.
async fn check_compatibility(pool: &PgPool) -> Result<(), ConnectError> {
    let known: Option<bool> =
        sqlx::query_scalar("SELECT to_regclass('queue.compatibility') IS NOT NULL")
            .fetch_one(pool)
            .await
            .map_err(ConnectError::Unreachable)?;
    if known != Some(true) {
        return Err(ConnectError::SchemaMissing);
    }
    let found: Option<(i32, i32)> =
        sqlx::query_as("SELECT version, serves_from FROM queue.compatibility")
            .fetch_optional(pool)
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
