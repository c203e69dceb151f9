//! What operators' tools ask: health and reflection.

use rpc::{GrpcServerConfig, RpcError};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::running::{ANYWHERE, Running, TestDirectory};

async fn connect(server: &Running) -> Channel {
    Endpoint::from_shared(format!("http://{}", server.address))
        .unwrap()
        .connect()
        .await
        .unwrap()
}

async fn health(channel: &Channel, service: &str) -> Result<ServingStatus, Code> {
    let service = service.to_owned();
    HealthClient::new(channel.clone())
        .check(HealthCheckRequest { service })
        .await
        .map(|answer| answer.into_inner().status())
        .map_err(|status| status.code())
}

#[tokio::test]
async fn health_is_told_to_all_even_without_a_token() {
    let config = GrpcServerConfig {
        token: Some("0123456789abcdef0123456789abcdef".into()),
        ..GrpcServerConfig::plain(ANYWHERE.parse().unwrap())
    };
    let server = Running::start(&config, TestDirectory::default().service()).await;
    let channel = connect(&server).await;
    let services = ["", "chasqui.directory.v1.Directory"];
    for service in services {
        assert_eq!(health(&channel, service).await, Ok(ServingStatus::Serving));
    }
    assert_eq!(health(&channel, "nonsense").await, Err(Code::NotFound));
    server.health.set_serving(false).await;
    for service in services {
        assert_eq!(
            health(&channel, service).await,
            Ok(ServingStatus::NotServing)
        );
    }
}

/// The names of the services that the server says it has.
async fn reflect(channel: Channel) -> Result<Vec<String>, Code> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = ServerReflectionClient::new(channel)
        .server_reflection_info(Request::new(futures_util::stream::iter([request])))
        .await
        .map_err(|status| status.code())?;
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("not a list of services");
    };
    Ok(list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect())
}

#[tokio::test]
async fn reflection_tells_our_services() {
    let server = Running::plain(ANYWHERE, TestDirectory::default().service()).await;
    let services = reflect(connect(&server).await).await.unwrap();
    for name in [
        "chasqui.delivery.v1.Delivery",
        "chasqui.directory.v1.Directory",
        "chasqui.relay.v1.HandOff",
        "grpc.health.v1.Health",
    ] {
        assert!(services.iter().any(|service| service == name), "{name}");
    }
}

#[tokio::test]
async fn reflection_demands_the_token() {
    let config = GrpcServerConfig {
        token: Some("0123456789abcdef0123456789abcdef".into()),
        ..GrpcServerConfig::plain(ANYWHERE.parse().unwrap())
    };
    let server = Running::start(&config, TestDirectory::default().service()).await;
    let refused = reflect(connect(&server).await).await;
    assert_eq!(refused, Err(Code::Unauthenticated));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_an_error_not_a_hang() {
    let server = Running::plain(ANYWHERE, TestDirectory::default().service()).await;
    let delivery = rpc::delivery::DeliveryClient::new(&server.channel()).unwrap();
    let error = delivery
        .deliver(&crate::delivery::request(b""))
        .await
        .unwrap_err();
    assert!(matches!(error, RpcError::Failed { .. }), "{error}");
}
