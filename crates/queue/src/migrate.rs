//! Bringing the schema up to date.

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
pub async fn migrate(_url: &str) -> Result<(), MigrationError> {
    todo!()
}
