//! Completing attempts: fenced, batched, with journal, ledger and notifications in one commit.

use thiserror::Error;

use crate::completion::{Completed, Completion};
use crate::database::Queue;
use crate::error::Cause;

/// How completions are gathered into commits.
#[derive(Clone, Copy, Debug)]
pub struct CompleteConfig {
    /// Commits in flight at once, each over a connection of its own.
    pub lanes: usize,
    /// Most completions in one commit.
    pub batch_units: usize,
    /// Completions that may wait for a lane; callers beyond them wait.
    pub waiting: usize,
}

impl Default for CompleteConfig {
    fn default() -> Self {
        Self {
            lanes: 2,
            batch_units: 500,
            waiting: 4096,
        }
    }
}

/// Why a completion was given up.
#[derive(Clone, Debug, Error)]
pub enum CompleteError {
    /// Its data were refused: the lease stands and will be adopted, as if nothing was reported.
    #[error("the queue database refused the completion")]
    Rejected(#[source] Cause),
    /// The committers have stopped.
    #[error("the service is shutting down")]
    ShuttingDown,
}

/// Records the ends of attempts; those that come at once share a commit. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Completer {}

impl Completer {
    /// Starts the committers. They end when the last clone is dropped.
    #[must_use]
    pub fn start(_queue: &Queue, _config: CompleteConfig) -> Self {
        todo!()
    }

    /// Records the end of an attempt. While the database is away this retries, since what was
    /// delivered must not be attempted again; a repeated completion changes nothing. Dropping the
    /// future stops the retries.
    ///
    /// # Errors
    /// Any [`CompleteError`].
    pub async fn complete(&self, _completion: Completion) -> Result<Completed, CompleteError> {
        todo!()
    }
}
