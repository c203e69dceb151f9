//! A caller by gRPC who is no service of ours: an orchestrator's probe, an operator's tool, an intruder.

use std::path::Path;

use futures_util::stream;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::service::Service;

/// A caller, with what it shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    tls: Option<ClientTlsConfig>,
    token: Option<AsciiMetadataValue>,
}

impl Caller {
    /// One that shows nothing.
    pub(crate) fn unknown() -> Self {
        Self::default()
    }

    /// One that knows a token.
    pub(crate) fn with_token(token: &str) -> Self {
        Self {
            token: Some(format!("Bearer {token}").parse().unwrap()),
            tls: None,
        }
    }

    /// One that trusts the fleet's authority and has no certificate itself.
    pub(crate) fn trusting(folder: &Path) -> Self {
        let authority = std::fs::read(folder.join("authority.pem")).unwrap();
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
        Self {
            tls: Some(tls),
            token: None,
        }
    }

    /// One that has a certificate of the fleet's authority besides.
    pub(crate) fn with_certificate(folder: &Path) -> Self {
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let identity = Identity::from_pem(read("grpc.pem"), read("grpc.key"));
        let trusting = Self::trusting(folder).tls.unwrap_or_default();
        Self {
            tls: Some(trusting.identity(identity)),
            token: None,
        }
    }

    /// How a service says it is (`grpc.health.v1`).
    pub(crate) async fn health(&self, service: &Service) -> Result<ServingStatus, Code> {
        let request = HealthCheckRequest::default();
        let answer = HealthClient::new(self.connect(service).await?)
            .check(self.request(request))
            .await;
        answer
            .map(|answer| answer.into_inner().status())
            .map_err(|status| status.code())
    }

    /// What a service says that it answers (gRPC reflection).
    pub(crate) async fn reflection(&self, service: &Service) -> Result<Vec<String>, Code> {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let answers = ServerReflectionClient::new(self.connect(service).await?)
            .server_reflection_info(self.request(stream::iter([request])))
            .await
            .map_err(|status| status.code())?;
        let answer = answers.into_inner().message().await.unwrap().unwrap();
        let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
            panic!("not a list of services");
        };
        let services = list.service.into_iter();
        Ok(services.map(|service| service.name).collect())
    }

    async fn connect(&self, service: &Service) -> Result<Channel, Code> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{}", service.grpc)).unwrap();
        let endpoint = match &self.tls {
            Some(tls) => endpoint.tls_config(tls.clone()).unwrap(),
            None => endpoint,
        };
        endpoint.connect().await.map_err(|_| Code::Unavailable)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", token.clone());
        }
        request
    }
}
