//! Starting: everything is checked and connected before the first client is let in.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use queue::{EnqueueConfig, Enqueuer, Queue};
use rpc::directory::DirectoryClient;
use rpc::hand_off::{HandOff, Producer};
use rpc::{GrpcServer, GrpcServerError};
use service::Tasks;
use service::config::Problem;
use service::wiring::{bind, database, grpc_server, migrate_queue, tls_files};
use smtp_net::ReloadingTls;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::accept::Acceptor;
use crate::config::Config;
use crate::limits::{FailedLogins, MessageAllowance};
use crate::metrics;
use crate::policy::Policy;
use crate::running::Running;
use crate::session::Shared;
use crate::wiring;

/// Why the service does not start. Each names what to look at.
#[derive(Debug, Error)]
pub enum StartError {
    /// A value of the configuration cannot be used.
    #[error("{}: {}", .0.key, .0.message)]
    Config(Problem),
    /// The certificate for mail clients.
    #[error("the certificate for mail clients is of no use")]
    Certificate(#[source] smtp_net::TlsFilesError),
    /// A socket for mail clients.
    #[error(transparent)]
    Listen(smtp_net::BindError),
    /// Our own gRPC server.
    #[error(transparent)]
    Grpc(GrpcServerError),
    /// The schema of the queue.
    #[error("the queue's schema cannot be set up")]
    Migrate(#[source] queue::MigrationError),
    /// The queue.
    #[error(transparent)]
    Queue(queue::ConnectError),
    /// The way to the directory.
    #[error("the directory cannot be called")]
    Directory(#[source] rpc::ChannelError),
    /// The way to the relays.
    #[error("relays cannot be called")]
    Relay(#[source] rpc::ChannelError),
}

/// Starts the service. When this returns `Ok`, it takes mail on every socket, until `shutdown`.
///
/// # Errors
/// Any [`StartError`]. A directory or a relay that does not answer is none: they may come later.
pub fn run(
    config: Config,
    shutdown: CancellationToken,
) -> BoxFuture<'static, Result<Running, StartError>> {
    // Boxed, so that the service is compiled here, and not once more by every program that runs it.
    Box::pin(start(config, shutdown))
}

async fn start(config: Config, shutdown: CancellationToken) -> Result<Running, StartError> {
    metrics::begin();
    let tls = ReloadingTls::load(tls_files(&config.tls)).map_err(StartError::Certificate)?;
    let listeners = bind(&config.listen, Some(&tls)).map_err(StartError::Listen)?;
    let grpc = match config.grpc.as_ref().map(grpc_server) {
        Some(grpc) => Some(GrpcServer::bind(&grpc).await.map_err(StartError::Grpc)?),
        None => None,
    };
    let shared = Arc::new(connect(&config).await?);
    let mut running = Running::new(
        tls,
        shared.acceptor.producer.hand_off.clone(),
        Tasks::new(&shutdown),
    );
    running.serve(&config, listeners, &shared);
    running.keep_up(shared);
    if let Some(grpc) = grpc {
        running.serve_grpc(grpc);
    }
    for socket in running.sockets() {
        let address = socket.address;
        tracing::info!(%address, tls = ?socket.tls, "taking mail from mail clients");
    }
    Ok(running)
}

/// Queue, directory and relays.
async fn connect(config: &Config) -> Result<Shared, StartError> {
    let directory = wiring::directory(config).map_err(StartError::Config)?;
    let relay = wiring::relay(config).map_err(StartError::Config)?;
    migrate_queue(&config.database)
        .await
        .map_err(StartError::Migrate)?;
    let queue = Queue::connect(&database(&config.database))
        .await
        .map_err(StartError::Queue)?;
    let limits = &config.limits;
    Ok(Shared {
        policy: Policy::new(
            DirectoryClient::new(&directory).map_err(StartError::Directory)?,
            FailedLogins::new(
                limits.failed_logins_per_address,
                limits.failed_logins_window,
            ),
            MessageAllowance::per_hour(limits.messages_per_hour),
        ),
        acceptor: Acceptor {
            producer: Producer {
                enqueuer: Enqueuer::start(&queue, EnqueueConfig::default()),
                hand_off: match relay {
                    Some(relay) => HandOff::connect(&relay).map_err(StartError::Relay)?,
                    None => HandOff::off(),
                },
            },
            host_name: config.host_name.clone(),
            expire_after: limits.expire_after,
        },
    })
}
