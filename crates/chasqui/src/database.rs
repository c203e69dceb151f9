//! Which database a command works on, and how it is reached.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::queue::Queue;
use clap::Args;
use directory::Directory;
use secrecy::{ExposeSecret, SecretString};

use crate::failure::Failure;

/// The variable that names the database for every program of the fleet; with `_FILE` behind it, a
/// file that does.
const DATABASE_URL: &str = "DATABASE_URL";

/// One command at a time needs no more.
const MAX_CONNECTIONS: u32 = 2;

/// Someone waits in front of the terminal.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where the database is. Without either flag: `DATABASE_URL` in the environment.
#[derive(Debug, Args)]
pub(crate) struct DatabaseArguments {
    /// The database: postgres://user:password@host:port/name [default: $DATABASE_URL]
    #[arg(long, value_name = "URL", value_parser = secret, global = true, help_heading = "Database")]
    database_url: Option<SecretString>,
    /// Or the state folder of a `chasqui dev` that is running
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "database_url",
        global = true,
        help_heading = "Database"
    )]
    state: Option<PathBuf>,
}

fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

impl DatabaseArguments {
    /// The URL; it may hold a password.
    pub(crate) fn url(&self) -> Result<SecretString, Failure> {
        if let Some(url) = &self.database_url {
            return Ok(url.clone());
        }
        if let Some(state) = &self.state {
            return Ok(private_postgres::url_of_running(state)?.into());
        }
        service::config::variable(DATABASE_URL)?
            .map(SecretString::from)
            .ok_or(Failure::NoDatabase)
    }

    /// The state folder of a `chasqui dev`, if that is how the database is found.
    pub(crate) fn state(&self) -> Option<&Path> {
        self.state.as_deref()
    }

    pub(crate) async fn directory(&self) -> Result<Directory, Failure> {
        let mut config = directory::DatabaseConfig::new(self.url()?);
        config.max_connections = MAX_CONNECTIONS;
        config.acquire_timeout = PATIENCE;
        Ok(Directory::connect(&config).await?)
    }

    pub(crate) async fn queue(&self) -> Result<Queue, Failure> {
        let mut config = ::queue::DatabaseConfig::new(self.url()?.expose_secret());
        config.max_connections = MAX_CONNECTIONS;
        config.acquire_timeout = PATIENCE;
        Ok(Queue::connect(&config).await?)
    }
}
