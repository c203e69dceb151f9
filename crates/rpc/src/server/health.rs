//! The standard health service (`grpc.health.v1`).

use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// Says whether the server's services are fit to be called. Clones speak for the same server.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
    services: Vec<&'static str>,
}

impl Health {
    pub(super) fn new(reporter: HealthReporter) -> Self {
        Self {
            reporter,
            services: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, service: &'static str) {
        self.services.push(service);
    }

    /// Tells all who ask, for the server as a whole (`""`) and for each of its services.
    pub async fn set_serving(&self, serving: bool) {
        let status = if serving {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for service in self.services.iter().copied().chain([""]) {
            self.reporter.set_service_status(service, status).await;
        }
    }
}
