//! Bringing the schema up to date.

use std::str::FromStr;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use thiserror::Error;

/// Longest wait for the connection. Others' migrations are waited for without end.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// Why the schema could not be brought up to date.
#[derive(Debug, Error)]
pub enum MigrationError {
    /// The URL is malformed, or the database cannot be reached.
    #[error("the queue database cannot be reached")]
    Connect(#[source] sqlx::Error),
    /// A migration failed.
    #[error("a migration of the queue schema failed")]
    Migrate(#[source] sqlx::migrate::MigrateError),
}

/// Brings the schema `queue` up to date, over a connection of its own (which must be direct: no
/// pooler in between). Several processes may do it at once: an advisory lock lets one in.
/// Migrations of a newer program are left alone.
///
/// # Errors
/// Any [`MigrationError`].
pub async fn migrate(url: &str) -> Result<(), MigrationError> {
    let pool = connect(url).await.map_err(MigrationError::Connect)?;
    // The lock is the session's: whatever happens, it ends with the connection.
    let done = migrator().run(&pool).await;
    pool.close().await;
    done.map_err(MigrationError::Migrate)
}

/// One connection, in the guise of a pool since sqlx's futures on a bare one aren't `Send`.
async fn connect(url: &str) -> Result<PgPool, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("chasqui queue migrations")
        .disable_statement_logging();
    PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CONNECT_DEADLINE)
        .connect_with(options)
        .await
}

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.create_schema("queue");
    // "Dangerous" when changed later: this is its name from the first migration on.
    migrator.dangerous_set_table_name("queue._migrations");
    migrator.set_ignore_missing(true);
    migrator
}
