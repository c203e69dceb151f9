//! The frame of each service's `main`.

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::{io, thread};

use tokio_util::sync::CancellationToken;

use crate::{open_files, shutdown};

/// Work on threads of their own, such as a password hash, may take this long to end.
const THREADS_TIMEOUT: Duration = Duration::from_secs(5);

/// Flags that each service has; for `#[command(flatten)]`.
#[derive(Clone, Debug, clap::Args)]
pub struct Flags {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check the configuration, then exit
    #[arg(long)]
    pub check: bool,
    /// Ask the service that runs here with this configuration whether it is ready, then exit
    #[arg(long, conflicts_with = "check")]
    pub health: bool,
}

/// Runs a service on a tokio runtime until it ends by itself or `shutdown`, its argument, is
/// cancelled by a signal. An error is told in one line on standard error.
///
/// Also chooses the one TLS provider of the process, and raises the limit on open files.
pub fn main<E>(
    name: &str,
    service: impl AsyncFnOnce(CancellationToken) -> Result<(), E>,
) -> ExitCode
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    // It fails when one is there already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    open_files::raise_limit();
    match run(service) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {}", one_line(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run<E>(
    service: impl AsyncFnOnce(CancellationToken) -> Result<(), E>,
) -> Result<(), Box<dyn Error + Send + Sync>>
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // What is set there is meant; the runtime reads it by itself.
    if std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        runtime.worker_threads(workers(thread::available_parallelism()));
    }
    let runtime = runtime.enable_all().build()?;
    let result = runtime.block_on(async {
        let shutdown = shutdown::signal()?;
        service(shutdown).await.map_err(Into::into)
    });
    runtime.shutdown_timeout(THREADS_TIMEOUT);
    result
}

/// How many threads work for sessions: one for each two processors. The system's network stack and
/// the database keep the others busy, and waking threads for work that one of them has time for
/// costs more than it brings (docs/decisions/0009).
fn workers(processors: io::Result<NonZeroUsize>) -> usize {
    processors.map_or(1, NonZeroUsize::get).div_ceil(2)
}

/// An error and its sources, `like this: one after the other`.
#[must_use]
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        // Some errors repeat their source in their own words.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("can't listen on {0}")]
    struct Outer(&'static str, #[source] io::Error);

    #[test]
    fn half_of_the_processors_work_for_sessions_and_one_at_least() {
        for (processors, expected) in [(1, 1), (2, 1), (3, 2), (16, 8)] {
            assert_eq!(
                workers(Ok(NonZeroUsize::MIN.saturating_add(processors - 1))),
                expected
            );
        }
        assert_eq!(workers(Err(io::ErrorKind::Unsupported.into())), 1);
    }

    #[test]
    fn sources_follow_in_the_same_line() {
        let error = Outer("127.0.0.1:25", io::Error::other("permission denied"));
        let line = one_line(&error);
        assert_eq!(line, "can't listen on 127.0.0.1:25: permission denied");
    }

    #[test]
    fn a_source_that_was_told_is_not_told_again() {
        let error = Outer("127.0.0.1:25", io::Error::other("listen on 127.0.0.1:25"));
        assert_eq!(one_line(&error), "can't listen on 127.0.0.1:25");
    }
}
