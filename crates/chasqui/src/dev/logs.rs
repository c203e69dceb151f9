//! The logs of the services: all of it into a file, and warnings to standard error too, until
//! everything stops: that parts miss each other then is no news.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use service::config::LogConfig;
use service::log::LogError;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::state::StateFolder;

pub(crate) const LOG: &str = "log/chasqui.log";
/// The log of the start before this one.
const LAST_LOG: &str = "log/chasqui.log.1";

/// Why there are no logs.
#[derive(Debug, Error)]
pub(crate) enum LogsError {
    #[error("can't write the log {path}")]
    File { path: String, source: io::Error },
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("logs were set up before")]
    SetUpBefore,
}

/// Sets up the logs of the process. The log of the last start is kept beside the new one.
pub(crate) fn init(
    state: &StateFolder,
    config: &LogConfig,
    shutdown: &CancellationToken,
) -> Result<(), LogsError> {
    let (log, last) = (state.shown(LOG), state.shown(LAST_LOG));
    let failed = |source| LogsError::File {
        path: log.display().to_string(),
        source,
    };
    if state.has(LOG) {
        std::fs::rename(&log, last).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).open(&log);
    let sink = Sink {
        file: Mutex::new(file.map_err(failed)?),
        shutdown: shutdown.clone(),
    };
    let subscriber = service::log::subscriber(config, sink)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogsError::SetUpBefore)
}

/// Where lines go.
struct Sink {
    file: Mutex<File>,
    shutdown: CancellationToken,
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line {
            file: self.file.lock().unwrap_or_else(PoisonError::into_inner),
            to_terminal: false,
        }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        let is_stopping = self.shutdown.is_cancelled();
        let least = if is_stopping {
            Level::ERROR
        } else {
            Level::WARN
        };
        Line {
            to_terminal: *metadata.level() <= least,
            ..self.make_writer()
        }
    }
}

/// One line on its way; it comes in one piece.
struct Line<'a> {
    file: MutexGuard<'a, File>,
    to_terminal: bool,
}

impl Write for Line<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.to_terminal {
            // A terminal that is gone has nobody to miss the line.
            let _ = io::stderr().write_all(text);
        }
        self.file.write_all(text)?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
