//! Logs go to standard error, one line an event, in words for `grep` or in JSON.

use std::io;

use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{LogConfig, LogFormat};

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
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&config.level)?)
        // Colours would stand between a key and its value.
        .with_ansi(false)
        .with_writer(writer);
    Ok(match config.format {
        LogFormat::Text => Box::new(builder.finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

pub(crate) fn filter(level: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::builder()
        .parse(level)
        .map_err(|source| LogError::Level {
            level: level.to_owned(),
            source,
        })
}
