//! A committer's own connection: kept open, opened anew after a failure, never waited for long.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::time::{Instant, timeout};

use crate::database::{Queue, STATEMENT_DEADLINE};
use crate::error::Cause;
use crate::fault::Fault;

/// Longest wait for a connection to open.
const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
/// For so long after a failure to connect nobody tries again: callers get their answer at once,
/// and the server isn't flooded while it starts.
const PAUSE: Duration = Duration::from_millis(200);

/// A connection that outlives its failures.
pub(crate) struct OwnConnection {
    options: Arc<PgConnectOptions>,
    open: Option<PgConnection>,
    refused: Option<(Instant, Cause)>,
}

impl OwnConnection {
    pub(crate) fn new(queue: &Queue) -> Self {
        Self {
            options: queue.options(),
            open: None,
            refused: None,
        }
    }

    /// The connection; opened if need be.
    pub(crate) async fn get(&mut self) -> Result<&mut PgConnection, Cause> {
        if self.open.is_none() {
            self.open = Some(self.connect().await?);
        }
        // Just filled.
        self.open
            .as_mut()
            .ok_or_else(|| Arc::new(sqlx::Error::WorkerCrashed))
    }

    async fn connect(&mut self) -> Result<PgConnection, Cause> {
        if let Some((at, cause)) = &self.refused
            && at.elapsed() < PAUSE
        {
            return Err(Arc::clone(cause));
        }
        let connected = answered_within(CONNECT_DEADLINE, self.options.connect()).await;
        connected.map_err(|error| {
            let cause = Arc::new(error);
            self.refused = Some((Instant::now(), Arc::clone(&cause)));
            cause
        })
    }

    /// Takes note of how a statement ended: a broken connection is dropped, and so is one whose
    /// answer is overdue.
    pub(crate) fn note<T>(&mut self, result: &Result<T, sqlx::Error>) {
        if let Err(error) = result
            && Fault::ends_connection(error)
        {
            self.open = None;
        }
    }
}

/// Waits for an answer no longer than [`STATEMENT_DEADLINE`]. The connection must not be used
/// again after a timeout: [`OwnConnection::note`] sees to it.
pub(crate) async fn answered<T>(
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    answered_within(STATEMENT_DEADLINE, statement).await
}

/// Waits for an answer no longer than `deadline`, as [`answered`] does.
pub(crate) async fn answered_within<T>(
    deadline: Duration,
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(deadline, statement)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
}
