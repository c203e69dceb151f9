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
    submission: Service,
    relay: Service,
    delivery: Service,
}

impl Fleet {
    /// Starts all three. When this returns `Ok`, they take mail.
    pub(crate) async fn start(configuration: Configuration) -> Result<Self, FleetError> {
        let stop = CancellationToken::new();
        let delivery = delivery::run(configuration.delivery, stop.clone())
            .await
            .map_err(|error| FleetError::StartDelivery(Box::new(error)))?;
        let delivery = Service::spawn(delivery.wait(), stop);

        let stop = CancellationToken::new();
        let relay = relay::run(configuration.relay, stop.clone())
            .await
            .map_err(|error| FleetError::StartRelay(Box::new(error)))?;
        let relay = Service::spawn(relay.wait(), stop);

        let stop = CancellationToken::new();
        let submission = submission::run(configuration.submission, stop.clone())
            .await
            .map_err(|error| FleetError::StartSubmission(Box::new(error)))?;
        Ok(Self {
            submission: Service::spawn(submission.wait(), stop),
            relay,
            delivery,
        })
    }

    /// Runs until `shutdown`, or until a service breaks; then ends all of them in good order, each
    /// before those that it calls.
    pub(crate) async fn run(mut self, shutdown: &CancellationToken) -> Result<(), FleetError> {
        let mut result = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            ended = self.submission.ended() => ended.and(Err(FleetError::Ended)),
            ended = self.relay.ended() => ended.and(Err(FleetError::Ended)),
            ended = self.delivery.ended() => ended.and(Err(FleetError::Ended)),
        };
        for service in [&mut self.submission, &mut self.relay, &mut self.delivery] {
            service.stop.cancel();
            result = result.and(service.ended().await);
        }
        result
    }
}

/// A running service, and how it is stopped.
struct Service {
    /// One task, which goes when this is dropped.
    running: JoinSet<Result<(), service::RunError>>,
    stop: CancellationToken,
}

impl Service {
    fn spawn(
        running: impl Future<Output = Result<(), service::RunError>> + Send + 'static,
        stop: CancellationToken,
    ) -> Self {
        let mut set = JoinSet::new();
        set.spawn(running);
        Self { running: set, stop }
    }

    /// Waits for its end, if that has not been told yet.
    async fn ended(&mut self) -> Result<(), FleetError> {
        match self.running.join_next().await {
            Some(ended) => Ok(ended??),
            None => Ok(()),
        }
    }
}
