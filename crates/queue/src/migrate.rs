//! Bringing the schema up to date.

use std::str::FromStr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _};
use thiserror::Error;
use tracing::info;

use crate::connection::answered_within;

/// Longest wait for the connection. Others' migrations are waited for without end.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Longest wait for any one lock. Whoever comes after a migration that waits for a table waits too,
/// so that mail would stand still behind it; and after a second of a deadlock Postgres looks for
/// somebody to end, who might be a relay.
const LOCK_TIMEOUT: &str = "500ms";
/// Then mail flows for a while before the migration is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Why the schema could not be brought up to date.
#[derive(Debug, Error)]
pub enum MigrationError {
    /// The URL is malformed, or the database cannot be reached.
    #[error("the queue database cannot be reached")]
    Connect(#[source] sqlx::Error),
    /// A migration failed.
    #[error("a migration of the queue schema failed")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

/// Brings the schema `queue` up to date, over a connection of its own (which must be direct: no
/// pooler in between). Several processes may do it at once: an advisory lock lets one in.
/// Migrations of a newer program are left alone.
///
/// Under a fleet at work a migration gives way: one that does not get its locks soon is undone, and
/// tried again.
///
/// # Errors
/// Any [`MigrationError`].
pub fn migrate(url: &str) -> BoxFuture<'_, Result<(), MigrationError>> {
    // Boxed for the sake of build time, as every `Answer` is.
    Box::pin(async move {
        let mut connection = connect(url).await.map_err(MigrationError::Connect)?;
        // The lock is the session's: whatever happens, it ends with the connection.
        let migrator = migrator();
        loop {
            match migrator.run_direct(None, &mut connection, false).await {
                Err(error) if is_in_the_way(&error) => {
                    info!("migrations of the queue schema wait for others");
                    tokio::time::sleep(PAUSE).await;
                }
                result => break result?,
            }
        }
        // A goodbye that fails costs nothing: the work is committed.
        let _ = connection.close().await;
        Ok(())
    })
}

/// One connection, and no pool, which would hide why none can be had.
async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?
        .application_name("chasqui queue migrations")
        .options([("lock_timeout", LOCK_TIMEOUT)])
        .disable_statement_logging();
    answered_within(CONNECT_DEADLINE, options.connect()).await
}

/// Whether a lock was not to be had: `lock_not_available`, or `deadlock_detected`.
fn is_in_the_way(error: &MigrateError) -> bool {
    let (MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)) = error else {
        return false;
    };
    let state = cause.as_database_error().and_then(|error| error.code());
    matches!(state.as_deref(), Some("55P03" | "40P01"))
}

fn migrator() -> Migrator {
    let mut migrator = Migrator::with_migrations(migrations());
    migrator.create_schema("queue");
    // "Dangerous" when changed later: this is its name from the first migration on.
    migrator.dangerous_set_table_name("queue._migrations");
    migrator.set_ignore_missing(true);
    migrator
}

/// All migrations, oldest first. One that has been released is never edited: a database that has
/// it already refuses another text.
fn migrations() -> Vec<Migration> {
    let queue = include_str!("../migrations/0001_queue.sql");
    let journal = include_str!("../migrations/0002_journal.sql");
    let views = include_str!("../migrations/0003_views.sql");
    let steering = include_str!("../migrations/0004_steering.sql");
    let whole_keys = include_str!("../migrations/0005_steering_by_whole_keys.sql");
    let cheaper_insertion = include_str!("../migrations/0006_cheaper_insertion.sql");
    let message_id = include_str!("../migrations/0007_message_id.sql");
    [
        (1, "queue", queue),
        (2, "journal", journal),
        (3, "views", views),
        (4, "steering", steering),
        (5, "steering by whole keys", whole_keys),
        (6, "cheaper insertion", cheaper_insertion),
        (7, "message id", message_id),
    ]
    .into_iter()
    .map(|(version, name, sql)| {
        let without_transaction = false;
        Migration::new(
            version,
            name.into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            without_transaction,
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::*;

    /// As sqlx reads the folder by itself, at run time or for its macro.
    #[tokio::test]
    async fn the_migrations_are_those_of_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let in_folder = Migrator::new(folder).await.unwrap();
        let told = |migration: &Migration| {
            let description = migration.description.clone();
            let checksum = migration.checksum.clone();
            (migration.version, description, checksum, migration.no_tx)
        };
        let here: Vec<_> = migrations().iter().map(told).collect();
        let there: Vec<_> = in_folder.iter().map(told).collect();
        assert_eq!(here, there);
    }
}
