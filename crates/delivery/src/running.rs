//! The running service: its sockets and its tasks.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use directory::{DatabaseConfig, Directory};
use futures_util::future::BoxFuture;
use rpc::delivery::{DeliveryLimits, delivery_server};
use rpc::directory::directory_server;
use rpc::{GrpcServer, GrpcServerError};
use service::{RunError, Tasks, wiring};
use smtp::Dialect;
use smtp_net::{Budget, Listener, ReloadingTls};
use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::answers::DirectoryAnswers;
use crate::config::Config;
use crate::lmtp::{Lmtp, LmtpSession};
use crate::mailboxes::Mailboxes;
use crate::maildir::{Maildir, RootError, sweep};

/// How often mailboxes are swept for what deliveries that were cut short left behind.
const SWEEP_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// Why the service does not start. Each names what to look at.
#[derive(Debug, Error)]
pub enum StartError {
    /// The folder for mail.
    #[error(transparent)]
    Maildir(#[from] RootError),
    /// The certificate for LMTP clients.
    #[error("the certificate for LMTP clients is of no use")]
    Certificate(#[source] smtp_net::TlsFilesError),
    /// A socket for LMTP.
    #[error(transparent)]
    Listen(#[from] smtp_net::BindError),
    /// Our gRPC server.
    #[error(transparent)]
    Grpc(GrpcServerError),
    /// The schema of the directory.
    #[error(transparent)]
    Migrate(#[from] directory::MigrateError),
    /// The directory.
    #[error(transparent)]
    Directory(#[from] directory::ConnectError),
}

/// Starts the service. When this returns `Ok`, it answers on every socket, until `shutdown`.
///
/// # Errors
/// Any [`StartError`].
pub fn run(
    config: Config,
    shutdown: CancellationToken,
) -> BoxFuture<'static, Result<Running, StartError>> {
    // Boxed, so that the service is compiled here, and not once more by every program that runs it.
    Box::pin(start(config, shutdown))
}

async fn start(config: Config, shutdown: CancellationToken) -> Result<Running, StartError> {
    let tls = match &config.tls {
        Some(section) => {
            Some(ReloadingTls::load(wiring::tls_files(section)).map_err(StartError::Certificate)?)
        }
        None => None,
    };
    let listeners = wiring::bind(&config.listen, tls.as_ref())?;
    let grpc = GrpcServer::bind(&wiring::grpc_server(&config.grpc))
        .await
        .map_err(StartError::Grpc)?;
    let maildir = Maildir::open(&config.maildir.root, config.maildir.writers)?;
    let directory = connect(&config).await?;
    let mailboxes = Mailboxes::new(directory.clone(), maildir);

    let lmtp = listeners.iter().map(Listener::local_addr).collect();
    let grpc_address = grpc.local_addr();
    let mut tasks = Tasks::new(&shutdown);
    serve_lmtp(&mut tasks, &config, listeners, &mailboxes);
    let limits = DeliveryLimits {
        max_content: wiring::in_memory(config.limits.message_size),
        content_under_way: wiring::in_memory(config.limits.content_memory),
    };
    tasks.serve(
        grpc.with(directory_server(DirectoryAnswers(directory)))
            .with(delivery_server(mailboxes, limits)),
    );
    if let Some(tls) = tls {
        tasks.watch(tls);
    }
    let stop = tasks.stop();
    tasks.spawn(async move {
        stop.run_until_cancelled(sweep_regularly(config.maildir.root))
            .await;
    });
    Ok(Running {
        lmtp,
        grpc: grpc_address,
        tasks,
    })
}

async fn connect(config: &Config) -> Result<Directory, StartError> {
    let database = &config.database;
    // Migrations hold a lock of their session, which is none through a transaction pooler.
    if !database.transaction_pooler {
        directory::migrate(database.url()).await?;
    }
    Ok(Directory::connect(&DatabaseConfig {
        url: database.url().into(),
        max_connections: database.max_connections,
        acquire_timeout: database.acquire_timeout,
        transaction_pooler: database.transaction_pooler,
    })
    .await?)
}

fn serve_lmtp(tasks: &mut Tasks, config: &Config, listeners: Vec<Listener>, mailboxes: &Mailboxes) {
    let session_config = Arc::new(smtp::server::Config {
        max_message_size: config.lmtp.message_size,
        max_recipients: config.lmtp.recipients,
        ..smtp::server::Config::new(Dialect::Lmtp, config.host_name.clone())
    });
    let memory = wiring::in_memory(config.lmtp.content_memory);
    // All clients are trusted: each may have all of it.
    let budget = Budget::new(memory, memory);
    let lmtp = Arc::new(Lmtp {
        mailboxes: mailboxes.clone(),
        host_name: config.host_name.clone(),
        trusted_networks: config.lmtp.trusted_networks.clone(),
    });
    for listener in listeners {
        info!(address = %listener.local_addr(), "taking mail by LMTP");
        let lmtp = Arc::clone(&lmtp);
        tasks.spawn(listener.serve(
            Arc::clone(&session_config),
            budget.clone(),
            move |_| LmtpSession::new(Arc::clone(&lmtp)),
            tasks.stop(),
        ));
    }
}

/// A service that takes mail and answers for the directory.
#[derive(Debug)]
pub struct Running {
    lmtp: Vec<SocketAddr>,
    grpc: SocketAddr,
    tasks: Tasks,
}

impl Running {
    /// The sockets for LMTP, in the order of the configuration.
    #[must_use]
    pub fn lmtp_addresses(&self) -> &[SocketAddr] {
        &self.lmtp
    }

    /// Where the directory is asked and messages are delivered to.
    #[must_use]
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc
    }

    /// Returns when the service has ended: after `shutdown`, once all sessions and calls are gone.
    ///
    /// # Errors
    /// Any [`RunError`], which ends all the rest in good order.
    pub async fn wait(self) -> Result<(), RunError> {
        self.tasks.wait().await
    }
}

async fn sweep_regularly(root: PathBuf) {
    let mut ticks = interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let root = root.clone();
        match spawn_blocking(move || sweep(&root, SystemTime::now())).await {
            Ok(Ok(swept)) if swept.removed > 0 => {
                info!(
                    mailboxes = swept.mailboxes,
                    removed = swept.removed,
                    "old files removed from tmp folders"
                );
            }
            Ok(Err(error)) => warn!(%error, "mailboxes cannot be swept"),
            Ok(Ok(_)) | Err(_) => {}
        }
    }
}
