//! Why there is no fleet, in one line with the remedy.

use thiserror::Error;
use tokio::task::JoinError;

use super::accounts::AccountsError;
use super::certificate::CertificateError;
use super::configuration::ConfigurationError;
use super::fleet::FleetError;
use super::logs::LogsError;
use super::state::StateError;

/// Why `chasqui dev` does not start, or ended without being asked to.
#[derive(Debug, Error)]
pub(crate) enum DevError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    #[error(transparent)]
    Logs(#[from] LogsError),
    #[error(transparent)]
    Postgres(#[from] private_postgres::StartError),
    #[error(transparent)]
    MigrateDirectory(#[from] directory::MigrateError),
    #[error(transparent)]
    MigrateQueue(#[from] queue::MigrationError),
    #[error(transparent)]
    Directory(#[from] directory::ConnectError),
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error("a task broke")]
    Broken(#[from] JoinError),
    #[error("stopped before it was ready")]
    Interrupted,
}
