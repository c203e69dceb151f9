//! Bringing the schema up to date.

use std::str::FromStr;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use thiserror::Error;

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
    let mut connection = connect(url).await.map_err(MigrationError::Connect)?;
    // Its lock is the session's: whatever happens, it ends with the connection.
    let done = migrator().run(&mut connection).await;
    // Nothing is lost when the farewell fails.
    let _ = connection.close().await;
    done.map_err(MigrationError::Migrate)
}

async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    PgConnectOptions::from_str(url)?
        .application_name("chasqui queue migrations")
        .disable_statement_logging()
        .connect()
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
