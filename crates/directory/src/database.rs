//! The connection pool.

use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor, PgPool};
use thiserror::Error;

use crate::migrate::{self, SchemaError};

/// Longest a statement may run; every one here is an indexed look-up or a single change.
const STATEMENT_TIMEOUT: &str = "SET statement_timeout = '5s'";

/// Where the directory lives.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:port/database`.
    pub url: SecretString,
    /// Most connections of this process.
    pub max_connections: u32,
    /// How long a caller waits for a free connection before the directory counts as unavailable.
    pub acquire_timeout: Duration,
}

impl DatabaseConfig {
    /// A handful of connections, and 4 s of patience: less than any caller's own deadline.
    #[must_use]
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            max_connections: 8,
            acquire_timeout: Duration::from_secs(4),
        }
    }
}

/// Why there is no directory to work with.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The URL cannot be read. It is not quoted: it may bear a password.
    #[error("the database url is not of the form postgres://user:password@host:port/database")]
    Url,
    /// Nobody answers, or the answer is a refusal.
    #[error("the directory database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// The schema and this binary do not fit.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

pub(crate) fn parse_url(url: &str) -> Result<PgConnectOptions, ConnectError> {
    let is_postgres = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    if !is_postgres {
        return Err(ConnectError::Url);
    }
    // What is wrong with it may quote the password: not told.
    Ok(PgConnectOptions::from_str(url)
        .map_err(|_quoting| ConnectError::Url)?
        .application_name("chasqui-directory"))
}

/// Opens the pool and checks that the schema fits.
pub(crate) async fn connect(config: &DatabaseConfig) -> Result<PgPool, ConnectError> {
    let options = parse_url(config.url.expose_secret())?;
    let pool = PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(config.acquire_timeout)
        .after_connect(|connection, _meta| {
            Box::pin(async move {
                connection.execute(STATEMENT_TIMEOUT).await?;
                Ok(())
            })
        })
        .connect_with(options)
        .await
        .map_err(ConnectError::Unreachable)?;
    let mut connection = pool.acquire().await.map_err(ConnectError::Unreachable)?;
    migrate::check(&mut connection).await?;
    drop(connection);
    Ok(pool)
}
