//! A service of the fleet. Each has a runtime of its own, so that it can be killed.

use std::error::Error;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A service that ends later than this after it was asked to has failed.
const END: Duration = Duration::from_secs(30);

/// Where a service starts.
pub(crate) struct Host {
    runtime: Runtime,
    stop: CancellationToken,
}

/// A running service.
pub(crate) struct Part {
    /// Taken when the service ends.
    runtime: Option<Runtime>,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl Host {
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        Self {
            runtime: runtime.unwrap(),
            stop: CancellationToken::new(),
        }
    }

    /// Runs a service up to the point where it answers.
    pub(crate) async fn start<R, E, F>(
        &self,
        run: impl FnOnce(CancellationToken) -> F + Send + 'static,
    ) -> R
    where
        R: Send + 'static,
        E: Error + Send + 'static,
        F: Future<Output = Result<R, E>>,
    {
        let (runtime, stop) = (self.runtime.handle().clone(), self.stop.clone());
        let started = spawn_blocking(move || runtime.block_on(run(stop)));
        let started = started.await.unwrap();
        started.unwrap_or_else(|error| panic!("{}", service::one_line(&error)))
    }

    /// The service that was started, which ends when `wait` does.
    pub(crate) fn keep<E: Error + 'static>(
        self,
        wait: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> Part {
        let ended = self.runtime.spawn(async {
            let ended = wait.await;
            ended.unwrap_or_else(|error| panic!("{}", service::one_line(&error)));
        });
        Part {
            runtime: Some(self.runtime),
            stop: self.stop,
            ended,
        }
    }
}

impl Part {
    /// Ends the service as SIGTERM does, if it has not ended before.
    pub(crate) async fn stop(&mut self) {
        if self.runtime.is_none() {
            return;
        }
        self.stop.cancel();
        let ended = timeout(END, &mut self.ended).await;
        ended.expect("the service did not end").unwrap();
        self.kill();
    }

    /// Ends the service wherever it stands, as SIGKILL does: no task runs any further, sockets close.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.kill();
    }
}
