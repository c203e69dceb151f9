//! The tasks that a service consists of: they stop together, and one that breaks ends the rest in good order.

use std::fmt;

use rpc::{GrpcServer, GrpcServerError};
use smtp_net::{ReloadingTls, WATCH_INTERVAL};
use thiserror::Error;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Why a service ended without being asked to.
#[derive(Debug, Error)]
pub enum RunError {
    /// The gRPC server broke.
    #[error(transparent)]
    Grpc(#[from] GrpcServerError),
    /// A task of ours panicked.
    #[error("a part of the service broke")]
    Broken(#[from] JoinError),
}

/// All tasks of one service. Dropped, they end at once: await [`Tasks::wait`] instead.
#[must_use = "tasks that are not waited for end at once"]
pub struct Tasks {
    set: JoinSet<Result<(), GrpcServerError>>,
    stop: CancellationToken,
}

impl Tasks {
    /// None yet. They are to stop when `shutdown` is cancelled, or when one of them breaks.
    pub fn new(shutdown: &CancellationToken) -> Self {
        Self {
            set: JoinSet::new(),
            stop: shutdown.child_token(),
        }
    }

    /// Tells a task to end.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Adds a task, which has to end after [`Tasks::stop`].
    pub fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.set.spawn(async {
            task.await;
            Ok(())
        });
    }

    /// Adds a gRPC server.
    pub fn serve(&mut self, grpc: GrpcServer) {
        self.set.spawn(grpc.serve(self.stop()));
    }

    /// Takes in new files of a certificate as they come.
    pub fn watch(&mut self, tls: ReloadingTls) {
        let stop = self.stop();
        self.spawn(async move { tls.watch(WATCH_INTERVAL, stop).await });
    }

    /// Returns when all have ended.
    ///
    /// # Errors
    /// Any [`RunError`], after which the others were told to stop too.
    pub async fn wait(mut self) -> Result<(), RunError> {
        let mut result = Ok(());
        while let Some(ended) = self.set.join_next().await {
            let ended = match ended {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => RunError::from(error),
                Err(error) => RunError::from(error),
            };
            self.stop.cancel();
            result = result.and(Err(ended));
        }
        result
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks")
            .field("running", &self.set.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[tokio::test]
    async fn tasks_end_together_when_told_to() {
        let shutdown = CancellationToken::new();
        let mut tasks = Tasks::new(&shutdown);
        for _ in 0..3 {
            let stop = tasks.stop();
            tasks.spawn(async move { stop.cancelled().await });
        }
        shutdown.cancel();
        tasks.wait().await.unwrap();
    }

    #[tokio::test]
    async fn one_that_breaks_ends_the_others_and_not_the_whole_process() {
        let shutdown = CancellationToken::new();
        let mut tasks = Tasks::new(&shutdown);
        let stop = tasks.stop();
        tasks.spawn(async move { stop.cancelled().await });
        tasks.spawn(async { panic!("a bug") });
        assert!(matches!(tasks.wait().await, Err(RunError::Broken(_))));
        assert!(!shutdown.is_cancelled());
    }
}
