//! A collector of traces and metrics (OTLP over gRPC) that keeps what it gets.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use testkit::TestCertificate;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use super::ports::steady_address;

/// Takes what it is given, until the test ends.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    metrics: Arc<Mutex<Vec<String>>>,
    /// Who has told metrics.
    resources: Arc<Mutex<Vec<Resource>>>,
}

impl Collector {
    /// Takes plain text.
    pub(crate) fn start() -> Self {
        Self::serve(Server::builder())
    }

    /// Takes TLS alone, and shows this certificate.
    pub(crate) fn start_tls(shown: &TestCertificate) -> Self {
        let identity = Identity::from_pem(&shown.certificate, &shown.key);
        let tls = ServerTlsConfig::new().identity(identity);
        Self::serve(Server::builder().tls_config(tls).unwrap())
    }

    fn serve(mut server: Server) -> Self {
        let collector = Self {
            address: steady_address(),
            spans: Arc::default(),
            metrics: Arc::default(),
            resources: Arc::default(),
        };
        let server = server
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .serve(collector.address);
        tokio::spawn(server);
        collector
    }

    /// The line of a configuration that makes a service tell this collector of every message.
    pub(crate) fn settings(&self) -> String {
        let address = self.address;
        format!("telemetry.otlp = \"http://{address}\"\ntelemetry.sample = 1.0")
    }

    /// Where TLS is spoken.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// What these attributes are for each who has told metrics as this service.
    pub(crate) fn tellers(&self, service: &str, keys: &[&str]) -> BTreeSet<Vec<String>> {
        let resources = self.resources.lock();
        let resources = resources.unwrap_or_else(PoisonError::into_inner);
        resources
            .iter()
            .map(|resource| &resource.attributes)
            .filter(|attributes| attribute(attributes, "service.name") == service)
            .map(|attributes| keys.iter().map(|key| attribute(attributes, key)).collect())
            .collect()
    }

    /// All spans of this name that have come.
    pub(crate) fn spans(&self, name: &str) -> Vec<Span> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let named = spans.iter().filter(|span| span.name == name);
        named.cloned().collect()
    }

    /// Whether a metric of this name has come.
    pub(crate) fn has_metric(&self, name: &str) -> bool {
        let metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        metrics.iter().any(|known| known == name)
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let resources = request.into_inner().resource_metrics;
        let tellers = resources.iter().filter_map(|told| told.resource.clone());
        let mut known = self.resources.lock();
        let known = known.as_mut().unwrap_or_else(|error| error.get_mut());
        known.extend(tellers);
        let scopes = resources
            .into_iter()
            .flat_map(|resource| resource.scope_metrics);
        let names = scopes
            .flat_map(|scope| scope.metrics)
            .map(|metric| metric.name);
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        metrics.extend(names);
        Ok(Response::new(Default::default()))
    }
}

/// The text of an attribute.
pub(crate) fn attribute(of: &[KeyValue], key: &str) -> String {
    let found = of.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.clone()) {
        Some(AnyValue {
            value: Some(Value::StringValue(text)),
        }) => text,
        other => panic!("{key} is {other:?} among {of:?}"),
    }
}
