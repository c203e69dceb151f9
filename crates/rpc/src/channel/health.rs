//! Asking every instance of a service for its health (`grpc.health.v1`), for whoever looks after
//! the fleet.

use std::net::SocketAddr;

use futures_util::future::{BoxFuture, join_all};
use tokio::time::timeout;
use tonic::Status;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::config::{ChannelConfig, ChannelError, Target};
use super::connector::Connector;
use super::roster::{Address, resolve};
use crate::error::RpcError;

/// One instance of a service, or a target that leads to none.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The target that led here.
    pub target: Target,
    /// Its address; none if the target's name resolves to none.
    pub address: Option<SocketAddr>,
    /// Whether it says that it serves. It asks for no token to say so.
    pub health: Result<bool, RpcError>,
}

/// Asks all instances at the same time. Each has the deadline of a call, besides that of its name's
/// resolution.
///
/// # Errors
/// [`ChannelError`], if no call could be made with these settings.
pub fn ask_health<'a>(
    service: &'static str,
    config: &'a ChannelConfig,
) -> BoxFuture<'a, Result<Vec<Instance>, ChannelError>> {
    // Boxed for the sake of build time, as every `Call` is.
    Box::pin(async move {
        let connector = Connector::new(config)?;
        let targets = config.targets.iter();
        let asked = targets.map(|target| ask_target(service, &connector, target, config));
        Ok(join_all(asked).await.into_iter().flatten().collect())
    })
}

async fn ask_target(
    service: &'static str,
    connector: &Connector,
    target: &Target,
    config: &ChannelConfig,
) -> Vec<Instance> {
    let Some(addresses) = resolve(target).await else {
        let unresolved = Instance {
            target: target.clone(),
            address: None,
            health: Err(RpcError::Unresolved { service }),
        };
        return vec![unresolved];
    };
    let deadline = config.deadline;
    let asked = addresses.into_iter().map(async |socket| {
        let address = Address::new(target.clone(), socket);
        let answer = timeout(deadline, ask(service, connector, &address)).await;
        Instance {
            target: target.clone(),
            address: Some(socket),
            health: answer.unwrap_or(Err(RpcError::Deadline { service, deadline })),
        }
    });
    join_all(asked).await
}

async fn ask(
    service: &'static str,
    connector: &Connector,
    address: &Address,
) -> Result<bool, RpcError> {
    let failed = |status: Status| RpcError::from_status(service, status);
    let endpoint = connector
        .endpoint(address)
        .map_err(|error| failed(Status::unavailable(error.to_string())))?;
    let mut client = HealthClient::new(endpoint.connect_lazy());
    // The empty name is the server as a whole.
    let request = HealthCheckRequest::default();
    let answer = client.check(request).await.map_err(failed)?;
    Ok(answer.into_inner().status() == ServingStatus::Serving)
}
