//! What a process tells about itself while it runs: metrics for Prometheus, whether it is ready,
//! and by OTLP metrics and the traces of some messages.
//!
//! All of it is off unless `[telemetry]` says otherwise. Instruments are made where something is
//! counted, each crate's in its `metrics.rs`, through OpenTelemetry's global meter; they cost
//! nothing while nobody listens.

mod collector;
mod export;
mod health;
mod http;
pub(crate) mod messages;
mod page;
pub mod traces;
mod watched;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config::TelemetrySection;
use crate::privacy;
use export::Export;
use health::Health;

pub use health::{NotReady, ask_ready};
pub use page::{on_this_machine, read_page};

/// Longest wait at the end for what has not been exported yet.
const FLUSH: Duration = Duration::from_secs(3);

/// Why a process can't tell about itself.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The address for probes and metrics.
    #[error("cannot listen on {address} for [telemetry]")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The exporters can't be set up.
    #[error("[telemetry] cannot be set up: {0}")]
    Export(String),
}

/// A process that tells about itself, until this is dropped.
#[derive(Debug)]
pub struct Telemetry {
    health: Health,
    export: Export,
    address: Option<SocketAddr>,
    /// Probes are answered until the very end.
    _stop: tokio_util::sync::DropGuard,
}

impl Telemetry {
    /// Begins to tell, as `service`. From now on `/ready` says 503; it does so again once
    /// `shutdown` is cancelled. To be called once a process, before the service starts.
    ///
    /// # Errors
    /// [`TelemetryError`].
    pub async fn start(
        service: &'static str,
        section: &TelemetrySection,
        shutdown: &CancellationToken,
    ) -> Result<Self, TelemetryError> {
        privacy::hash_addresses(section.hash_addresses);
        let export = Export::start(service, section).map_err(TelemetryError::Export)?;
        let health = Health::new(shutdown.clone());
        let stop = CancellationToken::new();
        let address = match section.listen {
            Some(address) => {
                let listen = |source| TelemetryError::Listen { address, source };
                let socket = TcpListener::bind(address).await.map_err(listen)?;
                let bound = socket.local_addr().map_err(listen)?;
                tracing::info!(address = %bound, "answering probes and Prometheus");
                let pages = http::pages(health.clone(), export.registry());
                tokio::spawn(http::serve(socket, pages, stop.clone()));
                Some(bound)
            }
            None => None,
        };
        Ok(Self {
            health,
            export,
            address,
            _stop: stop.drop_guard(),
        })
    }

    /// The service serves.
    pub fn ready(&self) {
        self.health.started();
    }

    /// Where probes are answered, with the port that the system chose for port 0.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Exports what has not been yet, and stops. Waits some seconds at most.
    pub async fn end(self) {
        let export = self.export;
        let flushed = tokio::task::spawn_blocking(move || export.end());
        if timeout(FLUSH, flushed).await.is_err() {
            tracing::warn!("the last metrics and traces could not be exported in time");
        }
    }
}
