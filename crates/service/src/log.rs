//! Logs go to standard error, one line an event, in words for `grep` or in JSON.

use std::io;

use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::config::{LogConfig, LogFormat};
use crate::privacy::Hashing;

/// Why there are no logs.
#[derive(Debug, Error)]
pub enum LogError {
    /// The level is not understood.
    #[error("`{level}` is no level: write error, warn, info, debug or trace, or info,relay=debug")]
    Level {
        /// What was given.
        level: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Someone was faster.
    #[error("logs were set up before")]
    SetUpBefore,
}

/// Sets up the logs of the whole process.
///
/// # Errors
/// [`LogError`].
pub fn init(config: &LogConfig) -> Result<(), LogError> {
    let subscriber = subscriber(config, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::SetUpBefore)
}

/// Log lines to a writer of the caller's.
///
/// # Errors
/// [`LogError::Level`].
pub fn subscriber<W>(
    config: &LogConfig,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Colours would stand between a key and its value.
    let lines = fmt::layer().with_ansi(false).with_writer(Hashing(writer));
    let filtered = tracing_subscriber::registry().with(filter(&config.level)?);
    Ok(match config.format {
        LogFormat::Text => Box::new(filtered.with(lines)),
        LogFormat::Json => Box::new(filtered.with(lines.json().flatten_event(true))),
    })
}

/// What libraries say of their setting up, and Postgres of what is there already, concerns nobody. A
/// level that names them counts.
const QUIET: [&str; 2] = ["opentelemetry=warn", "sqlx::postgres::notice=warn"];

/// `Targets` and not the mightier `EnvFilter`, whose patterns for fields of spans would cost us a
/// compiler of regular expressions, and build time.
pub(crate) fn filter(level: &str) -> Result<Targets, LogError> {
    // An empty part would mean `error` for everything.
    let parts = level
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let parts: Vec<&str> = QUIET.into_iter().chain(parts).collect();
    parts.join(",").parse().map_err(|source| LogError::Level {
        level: level.to_owned(),
        source,
    })
}
