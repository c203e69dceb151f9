//! The schema's migrations: expand and contract only, run by whoever starts first.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{ConnectOptions, Connection, PgConnection, SqlSafeStr};
use thiserror::Error;

use crate::database::{ConnectError, parse_url};

/// Names the schema, apart from `queue` and from the operator's own tables.
const SCHEMA: &str = "directory";
/// Where applied migrations are noted.
const MIGRATIONS_TABLE: &str = "directory._migrations";
/// What this binary expects in `directory.compatibility`.
const COMPATIBILITY: i32 = 1;
/// How long to wait for another process that is migrating, or that is in the way of it.
const LOCK_DEADLINE: Duration = Duration::from_secs(120);
/// Longest wait for any one lock: whoever comes after a migration that waits for a table waits too,
/// and after a second of a deadlock Postgres looks for somebody to end.
const LOCK_TIMEOUT: &str = "500ms";
/// Then others go on for a while before the migration is tried again.
const PAUSE: Duration = Duration::from_secs(1);

const LAST_APPLIED: &str = "SELECT max(version) FROM directory._migrations WHERE success";
const COMPATIBILITY_LEVEL: &str = "SELECT level FROM directory.compatibility";
/// SQLSTATE `undefined_table`.
const UNDEFINED_TABLE: &str = "42P01";

/// Why the schema could not be brought up to date.
#[derive(Debug, Error)]
pub enum MigrateError {
    /// No connection to the database.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Another process has been migrating, or using a table that is to be changed, for two minutes.
    #[error("another process has held a lock that the migration needs for {}s", LOCK_DEADLINE.as_secs())]
    Locked,
    /// A migration failed.
    #[error("the directory schema could not be migrated")]
    Failed(#[from] sqlx::migrate::MigrateError),
}

/// Why a binary and a schema do not fit.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// The schema lacks migrations that this binary needs.
    #[error(
        "the directory schema is at version {found}, this program needs {needed}: run `chasqui migrate`"
    )]
    Outdated {
        /// The last migration applied; 0 when there is none.
        found: i64,
        /// The last migration that this binary knows.
        needed: i64,
    },
    /// The schema has dropped what this binary relies on.
    #[error(
        "the directory schema is at compatibility level {found}, this program knows level \
         {COMPATIBILITY}: upgrade the program"
    )]
    Incompatible {
        /// The level of the schema.
        found: i32,
    },
    /// The database did not answer.
    #[error("the directory schema could not be checked")]
    Unavailable(#[from] sqlx::Error),
}

/// Brings the schema up to date, on a connection of its own and under an advisory lock, so that
/// services that start together do it once. Migrations newer than this binary are left alone.
///
/// # Errors
/// [`MigrateError`].
pub fn migrate(url: &str) -> BoxFuture<'_, Result<(), MigrateError>> {
    // Boxed for the sake of build time, as every `Answer` is.
    Box::pin(async move {
        let options = parse_url(url)?.options([("lock_timeout", LOCK_TIMEOUT)]);
        let mut connection = options.connect().await.map_err(ConnectError::Unreachable)?;
        let migrator = migrator();
        let migrated = async {
            loop {
                match migrator.run_direct(None, &mut connection, false).await {
                    Err(error) if is_in_the_way(&error) => tokio::time::sleep(PAUSE).await,
                    result => return result,
                }
            }
        };
        tokio::time::timeout(LOCK_DEADLINE, migrated)
            .await
            .map_err(|_elapsed| MigrateError::Locked)??;
        // A goodbye that fails costs nothing: the work is committed.
        let _ = connection.close().await;
        Ok(())
    })
}

/// Whether a lock was not to be had: `lock_not_available`, or `deadlock_detected`.
fn is_in_the_way(error: &sqlx::migrate::MigrateError) -> bool {
    use sqlx::migrate::MigrateError as Error;
    let (Error::Execute(cause) | Error::ExecuteMigration(cause, _)) = error else {
        return false;
    };
    let state = cause.as_database_error().and_then(|error| error.code());
    matches!(state.as_deref(), Some("55P03" | "40P01"))
}

/// Checks that this binary can work with the schema as it is.
pub(crate) async fn check(connection: &mut PgConnection) -> Result<(), SchemaError> {
    let needed = migrations().last().map_or(0, |migration| migration.version);
    // Once and for all: not worth keeping, and some poolers forbid it.
    let found = match sqlx::query_scalar::<_, Option<i64>>(LAST_APPLIED)
        .persistent(false)
        .fetch_one(&mut *connection)
        .await
    {
        Ok(version) => version.unwrap_or(0),
        Err(error) if is_undefined_table(&error) => 0,
        Err(error) => return Err(error.into()),
    };
    if found < needed {
        return Err(SchemaError::Outdated { found, needed });
    }
    let level = sqlx::query_scalar::<_, i32>(COMPATIBILITY_LEVEL)
        .persistent(false)
        .fetch_one(connection)
        .await?;
    if level == COMPATIBILITY {
        Ok(())
    } else {
        Err(SchemaError::Incompatible { found: level })
    }
}

fn is_undefined_table(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| code == UNDEFINED_TABLE)
}

fn migrator() -> Migrator {
    let mut migrator = Migrator::with_migrations(migrations());
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator.create_schema(SCHEMA);
    migrator.set_ignore_missing(true);
    migrator
}

/// All migrations, oldest first. One that has been released is never edited.
fn migrations() -> Vec<Migration> {
    [(
        1,
        "directory",
        include_str!("../migrations/0001_directory.sql"),
    )]
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
