//! The three services, in this process.

use thiserror::Error;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::configuration::Configuration;

/// Why the fleet does not start, or ended without being asked to.
#[derive(Debug, Error)]
pub(crate) enum FleetError {
    #[error("delivery does not start: {0}")]
    StartDelivery(#[source] Box<delivery::StartError>),
    #[error("the relay does not start: {0}")]
    StartRelay(#[source] Box<relay::StartError>),
    #[error("submission does not start: {0}")]
    StartSubmission(#[source] Box<submission::StartError>),
    #[error(transparent)]
    Run(#[from] service::RunError),
    #[error("a service broke")]
    Broken(#[from] JoinError),
    #[error("a service ended by itself")]
    Ended,
}

/// A running fleet. Dropped, it ends at once: await [`Fleet::run`] instead.
pub(crate) struct Fleet {
    /// Submission and relay, which call delivery.
    callers: Services,
    delivery: Services,
}

/// Services that end together.
#[derive(Default)]
struct Services {
    running: JoinSet<Result<(), FleetError>>,
    stop: CancellationToken,
}

impl Fleet {
    /// Starts all three. When this returns `Ok`, they take mail.
    pub(crate) async fn start(configuration: Configuration) -> Result<Self, FleetError> {
        let mut fleet = Self {
            callers: Services::default(),
            delivery: Services::default(),
        };
        let stop = fleet.delivery.stop.clone();
        let delivery = delivery::run(configuration.delivery, stop)
            .await
            .map_err(|error| FleetError::StartDelivery(Box::new(error)))?;
        fleet.delivery.spawn(delivery.wait());
        let stop = fleet.callers.stop.clone();
        let relay = relay::run(configuration.relay, stop.clone())
            .await
            .map_err(|error| FleetError::StartRelay(Box::new(error)))?;
        fleet.callers.spawn(relay.wait());
        let submission = submission::run(configuration.submission, stop)
            .await
            .map_err(|error| FleetError::StartSubmission(Box::new(error)))?;
        fleet.callers.spawn(submission.wait());
        Ok(fleet)
    }

    /// Runs until `shutdown`, or until a service breaks; then ends all of them in good order:
    /// what is under way is finished, delivery goes last.
    pub(crate) async fn run(mut self, shutdown: &CancellationToken) -> Result<(), FleetError> {
        let broken = tokio::select! {
            () = shutdown.cancelled() => None,
            ended = self.callers.next() => ended,
            ended = self.delivery.next() => ended,
        };
        let early = match broken {
            None => Ok(()),
            Some(Ok(())) => Err(FleetError::Ended),
            Some(Err(error)) => Err(error),
        };
        let callers = self.callers.end().await;
        let delivery = self.delivery.end().await;
        early.and(callers).and(delivery)
    }
}

impl Services {
    fn spawn(
        &mut self,
        service: impl Future<Output = Result<(), service::RunError>> + Send + 'static,
    ) {
        self.running.spawn(async { Ok(service.await?) });
    }

    /// The next service that ends.
    async fn next(&mut self) -> Option<Result<(), FleetError>> {
        let ended = self.running.join_next().await?;
        Some(ended.unwrap_or_else(|error| Err(error.into())))
    }

    async fn end(&mut self) -> Result<(), FleetError> {
        self.stop.cancel();
        let mut result = Ok(());
        while let Some(ended) = self.next().await {
            result = result.and(ended);
        }
        result
    }
}
