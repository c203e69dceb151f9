//! A listening socket: takes connections, turns away those above the limits, drains at the end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use smtp::server::Config;
use smtp::{EnhancedStatus, Reply};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::{Admission, Admitted, Refusal};
use crate::budget::Budget;
use crate::certificate::ReloadingTls;
use crate::connection::{Connection, Setup, Stop};
use crate::handler::{Handler, SessionInfo};
use crate::metrics;
use crate::proxy::{self, Ends};

/// The pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Whether and when a listener speaks TLS.
#[derive(Clone, Debug)]
pub enum ListenerTls {
    /// Never.
    None,
    /// After STARTTLS (RFC 3207).
    StartTls(ReloadingTls),
    /// From the first octet (RFC 8314 §3).
    Implicit(ReloadingTls),
}

/// The settings of a listener.
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    /// Whether and when TLS is spoken.
    pub tls: ListenerTls,
    /// Most connections in all; further ones get `421 4.3.2`. Default 10,000.
    pub max_connections: usize,
    /// Most connections from one IPv4 address or one IPv6 network of 64 bits; further ones get
    /// `421 4.7.0`. Default 100.
    pub max_connections_per_address: usize,
    /// Connections that the system may keep waiting. Default 1,024.
    pub backlog: u32,
    /// How long a shutdown waits for sessions to come to a boundary. Default 30 s.
    pub drain_deadline: Duration,
    /// Balancers: a connection from there begins with a PROXY header (version 1 or 2), and counts
    /// as one from the client that it names. From anywhere else a header is an unknown command.
    /// Default none.
    pub proxy_networks: Vec<IpNet>,
}

impl ListenerOptions {
    /// The defaults.
    #[must_use]
    pub fn new(tls: ListenerTls) -> Self {
        Self {
            tls,
            max_connections: 10_000,
            max_connections_per_address: 100,
            backlog: 1_024,
            drain_deadline: Duration::from_secs(30),
            proxy_networks: Vec::new(),
        }
    }
}

/// A socket cannot be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

/// A listening socket that has not begun to accept.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    options: ListenerOptions,
}

impl Listener {
    /// Listens on an address; `[::]` takes IPv4 too. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`]: the port is in use, say, or needs more rights.
    pub fn bind(address: SocketAddr, options: ListenerOptions) -> Result<Self, BindError> {
        let bound = listen(address, options.backlog)
            .and_then(TcpListener::from_std)
            .and_then(|socket| Ok((socket.local_addr()?, socket)));
        metrics::begin();
        match bound {
            Ok((address, socket)) => Ok(Self {
                socket,
                address,
                options,
            }),
            Err(source) => Err(BindError { address, source }),
        }
    }

    /// The address listened on, with the port that the system chose for port 0.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves clients until `shutdown`; then takes no more, lets each session come to the next
    /// boundary between commands, where it says `421 4.3.2`, and cuts what isn't there by the
    /// drain deadline. Returns when the last connection is gone; a message that is being accepted
    /// is waited for however long it takes.
    ///
    /// Whether STARTTLS is offered follows from the listener's options, whatever `config` says.
    pub async fn serve<H, F>(
        self,
        config: Arc<Config>,
        budget: Budget,
        make_handler: F,
        shutdown: CancellationToken,
    ) where
        H: Handler,
        F: Fn(&SessionInfo) -> H + Send + Sync + 'static,
    {
        let (tls, implicit_tls) = match self.options.tls {
            ListenerTls::None => (None, false),
            ListenerTls::StartTls(tls) => (Some(tls), false),
            ListenerTls::Implicit(tls) => (Some(tls), true),
        };
        let service = Service {
            config: Arc::new(Config {
                start_tls: tls.is_some() && !implicit_tls,
                ..Config::clone(&config)
            }),
            tls,
            implicit_tls,
            budget,
            make_handler: Arc::new(make_handler),
            admission: Admission::new(
                self.options.max_connections,
                self.options.max_connections_per_address,
            ),
            proxy_networks: self.options.proxy_networks,
            introductions: Arc::new(Semaphore::new(
                self.options.max_connections.min(Semaphore::MAX_PERMITS),
            )),
            connections: TaskTracker::new(),
            shutdown,
            abandon: CancellationToken::new(),
        };
        let service = Arc::new(service);
        service.accept_until_shutdown(&self.socket).await;
        // A client that comes now is refused by the system and tries another of our hosts.
        drop(self.socket);
        service.drain(self.options.drain_deadline).await;
    }
}

fn listen(address: SocketAddr, backlog: u32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for the connections of the previous process to be forgotten.
    socket.set_reuse_address(true)?;
    if address.ip().is_unspecified() && address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

struct Service<F> {
    config: Arc<Config>,
    tls: Option<ReloadingTls>,
    implicit_tls: bool,
    budget: Budget,
    make_handler: Arc<F>,
    admission: Arc<Admission>,
    proxy_networks: Vec<IpNet>,
    /// Connections of balancers whose clients are not known yet, at most as many as there may be
    /// known ones.
    introductions: Arc<Semaphore>,
    connections: TaskTracker,
    shutdown: CancellationToken,
    abandon: CancellationToken,
}

impl<F> Service<F> {
    async fn accept_until_shutdown<H>(self: &Arc<Self>, socket: &TcpListener)
    where
        H: Handler,
        F: Fn(&SessionInfo) -> H + Send + Sync + 'static,
    {
        let mut shutdown = std::pin::pin!(self.shutdown.cancelled());
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => return,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.welcome(stream, canonical(peer)),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections, pausing");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn welcome<H>(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr)
    where
        H: Handler,
        F: Fn(&SessionInfo) -> H + Send + Sync + 'static,
    {
        let is_balancer = |network: &IpNet| network.contains(&peer.ip());
        if self.proxy_networks.iter().any(is_balancer) {
            self.be_introduced(stream, peer);
        } else {
            self.take(stream, peer, None);
        }
    }

    /// Learns from a balancer who the client is, then takes the connection.
    fn be_introduced<H>(self: &Arc<Self>, mut stream: TcpStream, balancer: SocketAddr)
    where
        H: Handler,
        F: Fn(&SessionInfo) -> H + Send + Sync + 'static,
    {
        let Ok(permit) = Arc::clone(&self.introductions).try_acquire_owned() else {
            return self.turn_away(&stream, balancer, Refusal::Full);
        };
        let service = Arc::clone(self);
        self.connections.spawn(async move {
            let introduced = tokio::select! {
                introduced = proxy::receive(&mut stream) => introduced,
                () = service.shutdown.cancelled() => return,
            };
            drop(permit);
            match introduced {
                Ok(Some(Ends { client, local })) => {
                    service.take(stream, canonical(client), Some(local));
                }
                Ok(None) => service.take(stream, balancer, None),
                Err(error) => {
                    tracing::warn!(%balancer, %error, "connection of a balancer closed");
                }
            }
        });
    }

    /// Serves a client, if there is room for it. `local` is where it connected to; if not here,
    /// then at a balancer.
    fn take<H>(&self, stream: TcpStream, client: SocketAddr, local: Option<SocketAddr>)
    where
        H: Handler,
        F: Fn(&SessionInfo) -> H + Send + Sync + 'static,
    {
        let admitted = match self.admission.admit(client.ip()) {
            Ok(admitted) => admitted,
            Err(refusal) => return self.turn_away(&stream, client, refusal),
        };
        // A connection that is gone already has no address, and no use for options.
        let here = || local.map_or_else(|| stream.local_addr(), Ok);
        let Ok(local) = stream.set_nodelay(true).and_then(|()| here()) else {
            return;
        };
        let setup = Setup {
            stream,
            peer: client,
            local: canonical(local),
            config: Arc::clone(&self.config),
            tls: self.tls.clone(),
            implicit_tls: self.implicit_tls,
            budget: self.budget.clone(),
            stop: Stop {
                drain: self.shutdown.child_token(),
                abandon: self.abandon.clone(),
            },
        };
        let make_handler = Arc::clone(&self.make_handler);
        // Boxed, lest it be copied again and again on its way to a task.
        self.connections
            .spawn(Box::pin(serve_admitted(setup, make_handler, admitted)));
    }

    /// Says why, if that can be said in plaintext, and closes. The send buffer of a fresh
    /// connection is empty: this never waits.
    fn turn_away(&self, stream: &TcpStream, peer: SocketAddr, refusal: Refusal) {
        tracing::debug!(%peer, ?refusal, "connection turned away");
        metrics::turned_away(refusal);
        if self.implicit_tls {
            return;
        }
        let name = &self.config.host_name;
        let reply = match refusal {
            Refusal::Full => Reply::unavailable(
                EnhancedStatus::new(4, 3, 2),
                format!("{name} Too many connections, try again later"),
            ),
            Refusal::TooManyFromAddress => Reply::unavailable(
                EnhancedStatus::new(4, 7, 0),
                format!("{name} Too many connections from your address"),
            ),
        };
        let mut line = bytes::BytesMut::new();
        reply.write_to(&mut line);
        let _ = SockRef::from(stream).send(&line);
    }

    async fn drain(&self, deadline: Duration) {
        self.connections.close();
        if timeout(deadline, self.connections.wait()).await.is_err() {
            let left = self.connections.len();
            tracing::warn!(left, "time to drain is over, cutting connections");
            self.abandon.cancel();
            self.connections.wait().await;
        }
    }
}

async fn serve_admitted<H, F>(setup: Setup, make_handler: Arc<F>, _admitted: Admitted)
where
    H: Handler,
    F: Fn(&SessionInfo) -> H + Send + Sync + 'static,
{
    Connection::serve(setup, |info| make_handler(info)).await;
}

/// Whether only the connection that was to be accepted is affected; it has gone, say.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::PermissionDenied
    )
}

/// A dual-stack socket shows IPv4 addresses within IPv6; everyone else wants them as they are.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
