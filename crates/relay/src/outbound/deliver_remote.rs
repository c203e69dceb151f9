//! Sending one message to a next hop over SMTP: host after host until every recipient is decided or
//! no host is left (RFC 5321 §5.1). One open connection is kept for the messages that follow.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use smtp::client::Ending;
use smtp::{Body, Mailbox, ReversePath};
use smtp_net::{
    ClientConnection, ClientOptions, ClientTls, ConnectCause, ConnectFailure, OutboundTransaction,
};

use super::attempt::FarEnd;
use super::failure::Failure;
use super::mx::{MxHost, MxResolver};
use super::route::NextHop;
use super::shipped::Shipped;

/// What is sent, and to whom, in one go.
#[derive(Debug, Clone)]
pub(crate) struct Shipment {
    /// Where failures are reported to.
    pub(crate) reverse_path: ReversePath,
    /// Recipients at this next hop.
    pub(crate) recipients: Vec<Mailbox>,
    /// Whether the content has octets above 127.
    pub(crate) body: Body,
    /// The content in consecutive parts.
    pub(crate) content: [Bytes; 2],
}

/// Sends to remote hosts.
pub(crate) struct RemoteSender {
    resolver: MxResolver,
    options: ClientOptions,
    messages_per_connection: u32,
}

/// One worker's way to a next hop: at most one open connection, kept from message to message.
pub(crate) struct Line<'a> {
    open: Option<OpenLine>,
    on_connect: &'a (dyn Fn() -> Box<dyn Send + Sync> + Sync),
}

struct OpenLine {
    connection: ClientConnection,
    host: String,
    /// Counts as connected while it lives.
    _connected: Box<dyn Send + Sync>,
}

impl<'a> Line<'a> {
    /// No connection yet. `on_connect` is called for each that is opened; what it gives lives as
    /// long.
    pub(crate) fn new(on_connect: &'a (dyn Fn() -> Box<dyn Send + Sync> + Sync)) -> Self {
        Self {
            open: None,
            on_connect,
        }
    }

    /// Whether a connection stands.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Takes leave of the far end.
    pub(crate) async fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.connection.quit().await;
        }
    }
}

impl RemoteSender {
    /// Sends over connections made with `options`, at most so many messages over each.
    pub(crate) fn new(
        resolver: MxResolver,
        options: ClientOptions,
        messages_per_connection: u32,
    ) -> Self {
        Self {
            resolver,
            options,
            messages_per_connection,
        }
    }

    /// Sends a shipment. `fence` is asked before each final dot.
    pub(crate) async fn send(
        &self,
        line: &mut Line<'_>,
        next_hop: &NextHop,
        shipment: &Shipment,
        fence: &(dyn Fn() -> bool + Sync),
    ) -> Shipped {
        let mut shipped = Shipped::nothing(shipment.recipients.len());
        if let Some(open) = line.open.take() {
            self.send_over(line, open, shipment, &mut shipped, fence)
                .await;
            if shipped.is_over() {
                return shipped;
            }
            // An idle connection may have gone stale: that says nothing about the host.
            shipped.undecided = None;
        }
        match self.hosts(next_hop).await {
            Ok(hosts) => {
                for host in hosts {
                    self.try_host(line, &host, shipment, &mut shipped, fence)
                        .await;
                    if shipped.is_over() {
                        break;
                    }
                }
            }
            Err(failure) => shipped.undecided = Some(failure),
        }
        shipped
    }

    async fn hosts(&self, next_hop: &NextHop) -> Result<Vec<MxHost>, Failure> {
        match next_hop {
            NextHop::SmartHost(smart_host) => Ok(self.resolver.smart_host(smart_host)),
            NextHop::Mx(domain) => self.resolver.mx_hosts(domain).await,
            _ => Err(Failure::internal(format!(
                "{next_hop} is no remote next hop"
            ))),
        }
    }

    async fn try_host(
        &self,
        line: &mut Line<'_>,
        host: &MxHost,
        shipment: &Shipment,
        shipped: &mut Shipped,
        fence: &(dyn Fn() -> bool + Sync),
    ) {
        let addresses = match self.resolver.addresses(host).await {
            Ok(addresses) => addresses,
            Err(failure) => return shipped.note(failure),
        };
        for address in addresses {
            if shipped.has_spoken(address) {
                continue;
            }
            shipped.far_end = Arc::new(FarEnd {
                host: Some(host.name.clone()),
                host_address: Some(address.ip()),
                ..FarEnd::default()
            });
            match self.connect(address, &host.name).await {
                Ok(connection) => {
                    let host = host.name.clone();
                    let open = OpenLine {
                        connection,
                        host,
                        _connected: (line.on_connect)(),
                    };
                    self.send_over(line, open, shipment, shipped, fence).await;
                }
                Err(failure) => shipped.note(failure),
            }
            if shipped.is_over() {
                return;
            }
        }
    }

    /// Opens a session, in plain when TLS won't do: opportunistic TLS must never cost the mail (RFC
    /// 7435 §3).
    async fn connect(&self, address: SocketAddr, name: &str) -> Result<ClientConnection, Failure> {
        match ClientConnection::connect(address, name, &self.options).await {
            Err(failure) if failure.tls_tried => {
                tracing::info!(host = name, %address, error = %failure, "TLS failed, trying in plain");
                let plain = ClientOptions { tls: ClientTls::Never, ..self.options.clone() };
                ClientConnection::connect(address, name, &plain).await
            }
            result => result,
        }
        .map_err(connect_failure)
    }

    /// Sends to all that are undecided, in as many transactions as the far end wants, and keeps the
    /// connection if it may be used again.
    async fn send_over(
        &self,
        line: &mut Line<'_>,
        mut open: OpenLine,
        shipment: &Shipment,
        shipped: &mut Shipped,
        fence: &(dyn Fn() -> bool + Sync),
    ) {
        let address = open.connection.peer();
        shipped.far_end = Arc::new(open.far_end());
        let mut pending = shipped.pending();
        while !pending.is_empty() {
            let recipients: Vec<Mailbox> = pending
                .iter()
                .filter_map(|index| shipment.recipients.get(*index).cloned())
                .collect();
            let transaction = OutboundTransaction {
                reverse_path: &shipment.reverse_path,
                recipients: &recipients,
                body: shipment.body,
                content: &shipment.content,
            };
            let asked = std::mem::take(&mut pending);
            match open.connection.send(&transaction, fence).await {
                // The session calls a recipient one too many only after it accepted another, so
                // that each transaction settles somebody.
                Ok(results) => pending = shipped.apply(address, &asked, results),
                Err(not_sent) => shipped.not_sent(address, &asked, not_sent),
            }
            if shipped.fenced || !open.connection.is_reusable() {
                return;
            }
        }
        if open.connection.transactions() < self.messages_per_connection {
            line.open = Some(open);
        } else {
            open.connection.quit().await;
        }
    }
}

impl OpenLine {
    fn far_end(&self) -> FarEnd {
        let tls = self.connection.tls();
        FarEnd {
            source_address: Some(self.connection.local().ip()),
            host: Some(self.host.clone()),
            host_address: Some(self.connection.peer().ip()),
            tls: Some(tls.map_or_else(
                || "none".to_owned(),
                |tls| format!("{} {}", tls.version, tls.cipher),
            )),
        }
    }
}

fn connect_failure(failure: ConnectFailure) -> Failure {
    match failure.cause {
        ConnectCause::Tcp(error) => Failure::unreachable(format!("cannot connect: {error}")),
        ConnectCause::Refused { stage, reply }
        | ConnectCause::Ended {
            stage,
            ending: Ending::ByServer(reply),
        } => Failure::session_refused(reply, &stage.to_string()),
        cause @ (ConnectCause::Handshake(_) | ConnectCause::Ended { .. }) => {
            Failure::lost(cause.to_string())
        }
    }
}
