//! A committer's own connection: kept open, opened anew after a failure, never waited for long.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::{Instant, timeout};

use crate::database::{Queue, STATEMENT_DEADLINE};
use crate::error::Cause;
use crate::fault::Fault;
use crate::way::Way;

/// Longest wait for a connection to open.
const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
/// For so long after a failure to connect nobody tries again: callers get their answer at once,
/// and the server isn't flooded while it starts.
const PAUSE: Duration = Duration::from_millis(200);
/// A connection that was not used for so long may have died unnoticed.
const IDLE: Duration = Duration::from_secs(1);
/// After so long the server's caches have begun to forget it.
const COLD: Duration = Duration::from_millis(2);
/// Longest wait for its sign of life.
const PING_DEADLINE: Duration = Duration::from_secs(1);

/// A connection that outlives its failures.
pub(crate) struct OwnConnection {
    way: Way,
    open: Option<PgConnection>,
    used: Instant,
    refused: Option<(Instant, Cause)>,
}

impl OwnConnection {
    pub(crate) fn new(queue: &Queue) -> Self {
        Self::with(queue.way())
    }

    /// One whose commits don't wait for the disk: a crash of the server may undo the last of them.
    pub(crate) fn relaxed(queue: &Queue) -> Self {
        Self::with(queue.relaxed_way())
    }

    fn with(way: &Way) -> Self {
        Self {
            way: way.clone(),
            open: None,
            used: Instant::now(),
            refused: None,
        }
    }

    /// What is to be heeded on it.
    pub(crate) fn way(&self) -> Way {
        self.way.clone()
    }

    /// Whether a statement would take longer than in the midst of others.
    pub(crate) fn is_cold(&self) -> bool {
        self.used.elapsed() > COLD
    }

    /// The connection; opened if need be. One that lay idle is asked first if it still lives: a
    /// server that was restarted meanwhile is no reason to refuse mail.
    pub(crate) async fn get(&mut self) -> Result<&mut PgConnection, Cause> {
        let mut kept = self.open.take();
        if self.used.elapsed() > IDLE
            && let Some(connection) = &mut kept
            && answered_within(PING_DEADLINE, connection.ping())
                .await
                .is_err()
        {
            kept = None;
        }
        let connection = match kept {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        self.used = Instant::now();
        Ok(self.open.insert(connection))
    }

    async fn connect(&mut self) -> Result<PgConnection, Cause> {
        if let Some((at, cause)) = &self.refused
            && at.elapsed() < PAUSE
        {
            return Err(Arc::clone(cause));
        }
        let connected = answered_within(CONNECT_DEADLINE, self.way.options.connect()).await;
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
