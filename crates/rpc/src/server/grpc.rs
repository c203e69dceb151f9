//! The server itself.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::service::{Interceptor, RoutesBuilder};
use tonic::transport::{Certificate, Server, ServerTlsConfig};
use tonic::{Request, Status};
use tonic_health::server::health_reporter;
use tracing::{info, warn};

use super::config::{GrpcServerConfig, ServerTls};
use super::health::Health;
use super::incoming;
use crate::certificate::Shown;
use crate::proto::DESCRIPTORS;
use crate::token::Token;

/// Calls under way on one connection; more are refused by HTTP/2.
const MAX_CALLS_PER_CONNECTION: u32 = 256;
/// What a caller may send ahead on one call, and on all calls of its connection.
const CALL_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// A dead caller is noticed after interval plus timeout.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest a caller may take over a call that has no shorter deadline; streams of the server's
/// own are not meant.
const LONGEST_CALL: Duration = Duration::from_secs(15 * 60);
const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long calls under way may take to end at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a server cannot be started, or broke.
#[derive(Debug, Error)]
pub enum GrpcServerError {
    /// The settings would not be safe, or make no sense.
    #[error("gRPC `{key}`: {message}")]
    Config {
        /// The field: `bind` or `token`.
        key: &'static str,
        /// What is wrong, and what to do.
        message: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen for gRPC on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A PEM file cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Certificate or key are unusable.
    #[error("gRPC cannot be served with this TLS certificate")]
    Tls(#[source] tonic::transport::Error),
    /// The descriptors of our own services cannot be served.
    #[error("gRPC reflection cannot be served")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The server broke.
    #[error("the gRPC server broke")]
    Broken(#[source] tonic::transport::Error),
}

/// Adds a service to the routes of the server that it becomes part of.
type Mount = dyn FnOnce(&mut RoutesBuilder, &ServiceContext) + Send;

/// One of our services, ready to be served.
pub struct GrpcService {
    name: &'static str,
    mount: Box<Mount>,
}

impl GrpcService {
    pub(crate) fn new(
        name: &'static str,
        mount: impl FnOnce(&mut RoutesBuilder, &ServiceContext) + Send + 'static,
    ) -> Self {
        Self {
            name,
            mount: Box::new(mount),
        }
    }
}

/// What a service learns about the server that it is part of.
pub(crate) struct ServiceContext {
    /// Checks callers.
    pub(crate) access: Access,
    /// Cancelled when the server drains: streams should end.
    pub(crate) draining: CancellationToken,
}

/// A gRPC server that listens already, though it does not answer before [`GrpcServer::serve`].
pub struct GrpcServer {
    listener: TcpListener,
    address: SocketAddr,
    server: Server,
    routes: RoutesBuilder,
    context: ServiceContext,
    health: Health,
    _shown: Option<Shown>,
}

impl GrpcServer {
    /// Checks the settings, reads the PEM files and binds the address.
    ///
    /// # Errors
    /// Any [`GrpcServerError`] but [`GrpcServerError::Broken`].
    pub fn bind(config: &GrpcServerConfig) -> BoxFuture<'_, Result<Self, GrpcServerError>> {
        // Boxed for the sake of build time, as every `Call` is.
        Box::pin(async move {
            if let Some(problem) = config.problems().into_iter().next() {
                return Err(GrpcServerError::Config {
                    key: problem.key,
                    message: problem.message,
                });
            }
            let token = config.token().map_err(|error| GrpcServerError::Config {
                key: "token",
                message: error.to_string(),
            })?;
            let (server, shown) = builder(config.tls.as_ref())?;
            let bind_error = |source| GrpcServerError::Bind {
                address: config.bind,
                source,
            };
            let listener = TcpListener::bind(config.bind).await.map_err(bind_error)?;
            let address = listener.local_addr().map_err(bind_error)?;
            if config.exposes_token() {
                warn!(%address, "gRPC is served without TLS: token, mail and passwords cross the network in plain text");
            }
            let context = ServiceContext {
                access: Access { token },
                draining: CancellationToken::new(),
            };
            let (reporter, health_server) = health_reporter();
            let mut routes = RoutesBuilder::default();
            // Open to all: an orchestrator's probe has no token, and learns nothing but the state.
            routes.add_service(health_server);
            routes.add_service(InterceptedService::new(
                tonic_reflection::server::Builder::configure()
                    .register_encoded_file_descriptor_set(DESCRIPTORS)
                    .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                    .build_v1()
                    .map_err(GrpcServerError::Reflection)?,
                context.access.clone(),
            ));
            Ok(Self {
                listener,
                address,
                server,
                routes,
                context,
                health: Health::new(reporter),
                _shown: shown,
            })
        })
    }

    /// The address that is listened on, with the port that was taken if 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Adds a service.
    #[must_use]
    pub fn with(mut self, service: GrpcService) -> Self {
        (service.mount)(&mut self.routes, &self.context);
        self.health.add(service.name);
        self
    }

    /// Says whether the services added so far are fit to be called.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Answers calls until `shutdown`; then takes no new ones, and gives those under way ten
    /// seconds to end.
    ///
    /// # Errors
    /// [`GrpcServerError::Broken`].
    pub async fn serve(mut self, shutdown: CancellationToken) -> Result<(), GrpcServerError> {
        let Self {
            address, health, ..
        } = &self;
        let (address, health) = (*address, health.clone());
        let draining = self.context.draining;
        health.set_serving(true).await;
        info!(%address, "serving gRPC");
        let begin_to_drain = {
            let draining = draining.clone();
            async move {
                shutdown.cancelled().await;
                health.set_serving(false).await;
                draining.cancel();
            }
        };
        let serving = self
            .server
            .add_routes(self.routes.routes())
            .serve_with_incoming_shutdown(incoming::accept(self.listener), begin_to_drain);
        let deadline = async {
            draining.cancelled().await;
            sleep(DRAIN_TIMEOUT).await;
        };
        tokio::select! {
            result = serving => result.map_err(GrpcServerError::Broken),
            () = deadline => {
                warn!(%address, "gRPC calls were still under way at shutdown");
                Ok(())
            }
        }
    }
}

fn builder(tls: Option<&ServerTls>) -> Result<(Server, Option<Shown>), GrpcServerError> {
    let server = Server::builder()
        .timeout(LONGEST_CALL)
        .max_concurrent_streams(MAX_CALLS_PER_CONNECTION)
        .initial_stream_window_size(CALL_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT));
    let Some(tls) = tls else {
        return Ok((server, None));
    };
    let certificate = read(&tls.identity.certificate)?;
    let shown = Shown::new(&certificate);
    let identity = tonic::transport::Identity::from_pem(certificate, read(&tls.identity.key)?);
    let mut config = ServerTlsConfig::new()
        .identity(identity)
        .timeout(TLS_HANDSHAKE_TIMEOUT);
    if let Some(authority) = &tls.client_authority {
        config = config.client_ca_root(Certificate::from_pem(read(authority)?));
    }
    let server = server.tls_config(config).map_err(GrpcServerError::Tls)?;
    Ok((server, shown))
}

fn read(path: &Path) -> Result<Vec<u8>, GrpcServerError> {
    std::fs::read(path).map_err(|source| GrpcServerError::File {
        path: path.to_owned(),
        source,
    })
}

/// Lets calls pass that show the token, or all calls if there is none.
#[derive(Clone)]
pub(crate) struct Access {
    token: Option<Token>,
}

impl Interceptor for Access {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        match &self.token {
            Some(token) if !token.is_shown(request.metadata()) => {
                Err(Status::unauthenticated("the token is missing or wrong"))
            }
            _ => Ok(request),
        }
    }
}
