//! The running service: its sockets and its tasks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use queue::{EnqueueConfig, Enqueuer, Queue, Registration};
use rpc::delivery::DeliveryClient;
use rpc::directory::DirectoryClient;
use rpc::hand_off::{HandOff, Load, Producer, RelayHandOff};
use rpc::{GrpcServer, GrpcServerError};
use service::config::{ListenTls, Problem};
use service::{RunError, Tasks, wiring};
use smtp::server::Config as SessionConfig;
use smtp::{Dialect, Domain, LocalPart, Mailbox};
use smtp_net::{Budget, ClientOptions, Listener, ReloadingTls};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::inbound::accept::Acceptor;
use crate::inbound::policy::{Inbound, InboundSession};
use crate::outbound::census::CensusTaker;
use crate::outbound::conclude::Conclude;
use crate::outbound::deliver_remote::RemoteSender;
use crate::outbound::engine::Sink;
use crate::outbound::lanes::LaneLimits;
use crate::outbound::life::Outbound;
use crate::outbound::mx::{MxResolver, MxSettings};
use crate::outbound::notify::Notifier;
use crate::outbound::retry::Backoff;
use crate::outbound::route::RouteTable;
use crate::outbound::scheduler::Routes;

/// How long a look-up in the directory may take.
const DIRECTORY_DEADLINE: Duration = Duration::from_secs(5);
/// How long putting a message into mailboxes may take: a busy disk is no reason to make duplicates.
const DELIVERY_DEADLINE: Duration = Duration::from_secs(60);
/// Units of one message that go out in one transaction.
const GROUP: usize = 100;

/// Why the service does not start. Each names what to look at.
#[derive(Debug, Error)]
pub enum StartError {
    /// A value of the configuration cannot be used.
    #[error("{}: {}", .0.key, .0.message)]
    Config(Problem),
    /// The certificate for other servers.
    #[error("the certificate for other mail servers is of no use")]
    Certificate(#[source] smtp_net::TlsFilesError),
    /// A socket for other servers.
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
    /// The way to the directory or to delivery.
    #[error("delivery cannot be called")]
    Channel(#[source] rpc::ChannelError),
    /// The resolver.
    #[error("names cannot be looked up: {0}")]
    Dns(String),
}

/// Starts the service. When this returns `Ok`, it takes mail on every socket, until `shutdown`.
///
/// # Errors Any [`StartError`]. A directory or a delivery service that does not answer is none:
/// they may come later.
pub fn run(
    config: Config,
    shutdown: CancellationToken,
) -> BoxFuture<'static, Result<Running, StartError>> {
    // Boxed, so that the service is compiled here, and not once more by every program that runs it.
    Box::pin(start(config, shutdown))
}

async fn start(config: Config, shutdown: CancellationToken) -> Result<Running, StartError> {
    let tls = config
        .tls
        .as_ref()
        .map(|tls| ReloadingTls::load(wiring::tls_files(tls)));
    let tls = tls.transpose().map_err(StartError::Certificate)?;
    let listeners = wiring::bind(&config.listen, tls.as_ref()).map_err(StartError::Listen)?;
    let grpc = GrpcServer::bind(&wiring::grpc_server(&config.grpc))
        .await
        .map_err(StartError::Grpc)?;
    let sink = Sink::default();
    let handed_off = Load::new(
        config.outbound.handed_off,
        config.outbound.handed_off_memory,
    );
    let hand_off = RelayHandOff::new(handed_off, sink.clone());
    let routes = Routes::new(arc_swap::ArcSwap::from_pointee(route_table(&config)?));
    let directory = directory(&config)?;
    wiring::migrate_queue(&config.database)
        .await
        .map_err(StartError::Migrate)?;
    let queue = Queue::connect(&wiring::database(&config.database))
        .await
        .map_err(StartError::Queue)?;
    let outbound = outbound(
        &config,
        &queue,
        sink,
        &hand_off,
        &directory,
        &routes,
        grpc.local_addr(),
    )?;

    let mut running = Running {
        sockets: listeners.iter().map(Listener::local_addr).collect(),
        grpc: grpc.local_addr(),
        tls,
        routes,
        tasks: Tasks::new(&shutdown),
    };
    let inbound = Arc::new(inbound(&config, &queue, &hand_off, directory));
    running.take_mail(&config, listeners, &inbound);
    running.tasks.serve(grpc.with(hand_off.service()));
    let stop = running.tasks.stop();
    running.tasks.spawn(outbound.run(stop));
    if let Some(tls) = running.tls.clone() {
        running.tasks.watch(tls);
    }
    for address in &running.sockets {
        tracing::info!(%address, "taking mail from other servers");
    }
    Ok(running)
}

fn route_table(config: &Config) -> Result<RouteTable, StartError> {
    RouteTable::new(&config.route)
        .map_err(|problems| StartError::Config(Problem::new("route", problems.join("; "))))
}

fn misconfigured(section: &str, problem: Problem) -> StartError {
    StartError::Config(problem.within(section))
}

fn directory(config: &Config) -> Result<DirectoryClient, StartError> {
    let channel = wiring::channel(&config.directory, DIRECTORY_DEADLINE)
        .map_err(|problem| misconfigured("directory", problem))?;
    DirectoryClient::new(&channel).map_err(StartError::Channel)
}

fn delivery(config: &Config) -> Result<DeliveryClient, StartError> {
    let channel = wiring::channel(&config.delivery, DELIVERY_DEADLINE)
        .map_err(|problem| misconfigured("delivery", problem))?;
    DeliveryClient::new(&channel).map_err(StartError::Channel)
}

fn inbound(
    config: &Config,
    queue: &Queue,
    hand_off: &RelayHandOff,
    directory: DirectoryClient,
) -> Inbound {
    Inbound {
        directory,
        acceptor: Acceptor {
            producer: Producer {
                enqueuer: Enqueuer::start(queue, EnqueueConfig::default()),
                hand_off: HandOff::local(hand_off),
            },
            host_name: config.host_name.clone(),
            expire_after: config.outbound.expire_after,
        },
        relay_networks: config.inbound.relay_networks.clone(),
        max_hops: config.inbound.max_hops,
    }
}

fn outbound(
    config: &Config,
    queue: &Queue,
    sink: Sink,
    hand_off: &RelayHandOff,
    directory: &DirectoryClient,
    routes: &Routes,
    grpc: SocketAddr,
) -> Result<Outbound, StartError> {
    let settings = &config.outbound;
    let host_name = host_name(config)?;
    Ok(Outbound {
        queue: queue.clone(),
        registration: Registration {
            address: service::node::reached_at(grpc),
            node: config.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        hand_off: hand_off.clone(),
        sink,
        directory: directory.clone(),
        delivery: delivery(config)?,
        remote: Arc::new(remote_sender(config, &host_name)?),
        routes: routes.clone(),
        conclude: Arc::new(Conclude {
            backoff: Backoff {
                first: settings.retry_first,
                longest: settings.retry_longest,
            },
            internal_retry: settings.internal_retry,
            notifier: Notifier {
                host_name: config.host_name.clone(),
                author: mailer_daemon(host_name)?,
                expire_after: settings.expire_after,
            },
        }),
        suspend: Backoff {
            first: settings.suspend_first,
            longest: settings.suspend_longest,
        },
        limits: LaneLimits {
            remote: settings.connections_per_destination,
            local: settings.local_deliveries,
            group: GROUP,
        },
        claimed: settings.claimed,
        content_memory: settings.content_memory,
        idle: settings.idle,
        poll: settings.poll,
        census: config.telemetry.is_on().then(CensusTaker::new),
        drain_deadline: settings.drain_deadline,
    })
}

fn remote_sender(config: &Config, host_name: &Domain) -> Result<RemoteSender, StartError> {
    let settings = &config.outbound;
    let resolver = MxResolver::new(MxSettings {
        nameservers: config.dns.nameservers.clone(),
        own_names: vec![config.host_name.clone()],
        port: settings.port,
        refused_networks: settings.refused_networks.clone(),
    });
    let options = ClientOptions {
        source_address: settings.source_address,
        connect_timeout: settings.connect_timeout,
        ..ClientOptions::new(smtp::client::Config::new(host_name.clone()))
    };
    let resolver = resolver.map_err(|error| StartError::Dns(error.to_string()))?;
    Ok(RemoteSender::new(
        resolver,
        options,
        settings.messages_per_connection,
    ))
}

fn host_name(config: &Config) -> Result<Domain, StartError> {
    Domain::parse(&config.host_name)
        .map_err(|error| StartError::Config(Problem::new("host_name", error.to_string())))
}

/// The author of notifications.
fn mailer_daemon(host_name: Domain) -> Result<Mailbox, StartError> {
    LocalPart::parse("MAILER-DAEMON")
        .map(|local_part| Mailbox::new(local_part, host_name))
        .map_err(|error| StartError::Config(Problem::new("host_name", error.to_string())))
}

/// A service that takes and sends mail.
#[derive(Debug)]
pub struct Running {
    sockets: Vec<SocketAddr>,
    grpc: SocketAddr,
    tls: Option<ReloadingTls>,
    routes: Routes,
    tasks: Tasks,
}

impl Running {
    /// The sockets for other servers, in the order of the configuration.
    #[must_use]
    pub fn sockets(&self) -> &[SocketAddr] {
        &self.sockets
    }

    /// Where producers hand off, and `grpc.health.v1` answers.
    #[must_use]
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc
    }

    /// What may change while the service runs: certificate and routes.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        Reloader {
            tls: self.tls.clone(),
            routes: self.routes.clone(),
        }
    }

    /// Returns when the service has ended: after `shutdown`, once every session and every attempt
    /// is over.
    ///
    /// # Errors
    /// Any [`RunError`], which ends all the rest in good order.
    pub async fn wait(self) -> Result<(), RunError> {
        self.tasks.wait().await
    }

    fn take_mail(&mut self, config: &Config, listeners: Vec<Listener>, inbound: &Arc<Inbound>) {
        let limits = &config.inbound;
        let budget = Budget::new(
            wiring::in_memory(limits.content_memory),
            wiring::in_memory(limits.content_memory_per_client),
        );
        for (listener, section) in listeners.into_iter().zip(&config.listen) {
            let session = SessionConfig {
                max_message_size: limits.message_size,
                max_recipients: limits.recipients,
                start_tls: section.tls == ListenTls::StartTls,
                ..SessionConfig::new(Dialect::Smtp, config.host_name.clone())
            };
            let inbound = inbound.clone();
            let stop = self.tasks.stop();
            self.tasks.spawn(listener.serve(
                Arc::new(session),
                budget.clone(),
                move |_| InboundSession::new(inbound.clone()),
                stop,
            ));
        }
    }
}

/// Renews what may change while the service runs.
#[derive(Debug, Clone)]
pub struct Reloader {
    tls: Option<ReloadingTls>,
    routes: Routes,
}

impl Reloader {
    /// Reads the certificate again and takes the routes of a configuration that was read again.
    /// Whatever is of no use leaves the old in place.
    ///
    /// # Errors
    /// [`StartError::Certificate`] or [`StartError::Config`].
    pub fn reload(&self, config: &Config) -> Result<(), StartError> {
        if let Some(tls) = &self.tls {
            tls.reload().map_err(StartError::Certificate)?;
        }
        self.routes.store(Arc::new(route_table(config)?));
        Ok(())
    }
}
