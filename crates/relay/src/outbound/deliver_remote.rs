//! Sending one message to a next hop over SMTP: host after host until every recipient is decided or
//! no host is left (RFC 5321 §5.1). One open connection is kept for the messages that follow.

use std::net::SocketAddr;

use bytes::Bytes;
use smtp::client::{Ending, NotBegun, RecipientResult, Stage};
use smtp::{Body, EnhancedStatus, Mailbox, Outcome, Reply, Report, ReversePath};
use smtp_net::{
    ClientConnection, ClientOptions, ClientTls, ConnectCause, ConnectFailure, NotSent,
    OutboundTransaction,
};

use super::attempt::FarEnd;
use super::failure::Failure;
use super::mx::{MxHost, MxResolver};
use super::route::NextHop;

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

/// What became of a shipment.
#[derive(Debug)]
pub(crate) struct Shipped {
    /// One for each recipient, in order; none where nothing is known, for which `undecided` says
    /// why.
    pub(crate) outcomes: Vec<Option<Outcome>>,
    /// Why there was no word on some recipients.
    pub(crate) undecided: Option<Failure>,
    /// Whom we spoke with last.
    pub(crate) far_end: FarEnd,
    /// The lease was no longer certain before a final dot: nothing may be concluded.
    pub(crate) fenced: bool,
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
        let hosts = match self.hosts(next_hop).await {
            Ok(hosts) => hosts,
            Err(failure) => {
                shipped.undecided = Some(failure);
                return shipped;
            }
        };
        for host in hosts {
            self.try_host(line, &host, shipment, &mut shipped, fence)
                .await;
            if shipped.is_over() {
                break;
            }
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
            shipped.far_end = FarEnd {
                host: Some(host.name.clone()),
                host_address: Some(address.ip()),
                ..FarEnd::default()
            };
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
        shipped.far_end = open.far_end();
        loop {
            let pending = shipped.pending();
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
            match open.connection.send(&transaction, fence).await {
                Ok(results) => shipped.apply(&pending, results),
                Err(NotSent::Fenced) => {
                    shipped.fenced = true;
                    return;
                }
                Err(not_sent) => shipped.not_sent(&pending, not_sent),
            }
            let another = shipped.pending().len() < pending.len() && !shipped.is_over();
            if !open.connection.is_reusable() {
                return;
            }
            if !another {
                break;
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

impl Shipped {
    fn nothing(recipients: usize) -> Self {
        Self {
            outcomes: vec![None; recipients],
            undecided: None,
            far_end: FarEnd::default(),
            fenced: false,
        }
    }

    /// Nobody got a word: no host gave us a session, or none kept it.
    pub(crate) fn is_turned_away(&self) -> bool {
        self.outcomes.iter().all(Option::is_none)
            && self
                .undecided
                .as_ref()
                .is_some_and(Failure::suspends_destination)
    }

    fn is_over(&self) -> bool {
        self.fenced || self.outcomes.iter().all(Option::is_some)
    }

    fn pending(&self) -> Vec<usize> {
        let undecided = self
            .outcomes
            .iter()
            .enumerate()
            .filter(|(_, outcome)| outcome.is_none());
        undecided.map(|(index, _)| index).collect()
    }

    fn note(&mut self, failure: Failure) {
        self.undecided = Some(match self.undecided.take() {
            Some(earlier) => earlier.or(failure),
            None => failure,
        });
    }

    fn decide(&mut self, index: usize, outcome: Outcome) {
        if let Some(place) = self.outcomes.get_mut(index) {
            *place = Some(outcome);
        }
    }

    fn not_sent(&mut self, pending: &[usize], not_sent: NotSent) {
        let failure = match not_sent {
            NotSent::NotBegun(NotBegun::Unsupported8Bit) => Failure::not_sendable(
                EnhancedStatus::new(5, 6, 3),
                "the message has 8-bit content, which the host does not take (no 8BITMIME, RFC 6152)",
            ),
            NotSent::NotBegun(NotBegun::TooLarge { limit }) => Failure::not_sendable(
                EnhancedStatus::new(5, 3, 4),
                format!(
                    "the message is larger than the {limit} octets that the host takes (SIZE, RFC 1870)"
                ),
            ),
            NotSent::Content(error) => {
                Failure::not_sendable(EnhancedStatus::new(5, 6, 0), error.to_string())
            }
            NotSent::NotBegun(error) => return self.note(Failure::lost(error.to_string())),
            NotSent::Fenced => return self.fenced = true,
        };
        for index in pending {
            self.decide(*index, failure.clone().into_outcome());
        }
    }

    fn apply(&mut self, pending: &[usize], results: Vec<RecipientResult>) {
        if results.is_empty() {
            self.note(Failure::broken_off(
                "the session ended before the transaction did",
            ));
        }
        for (index, result) in pending.iter().zip(results) {
            match judge(result) {
                Judged::Decided(outcome) => self.decide(*index, outcome),
                Judged::NextHost(failure) => self.note(failure),
                Judged::NextTransaction => {}
            }
        }
    }
}

enum Judged {
    Decided(Outcome),
    NextHost(Failure),
    NextTransaction,
}

/// What a far end's word on one recipient means.
fn judge(result: RecipientResult) -> Judged {
    match result {
        RecipientResult::Accepted(reply) => {
            let status = reply.status.unwrap_or(EnhancedStatus::new(2, 0, 0));
            Judged::Decided(Outcome::Delivered(Report::new(
                status,
                Some(reply),
                "accepted",
            )))
        }
        RecipientResult::Refused { stage, reply } if ends_session(&reply) => {
            Judged::NextHost(Failure::session_refused(reply, &stage.to_string()))
        }
        RecipientResult::Refused {
            stage: Stage::Rcpt,
            reply,
        } => Judged::Decided(Failure::recipient_refused(reply).into_outcome()),
        RecipientResult::Refused { stage, reply } => {
            Judged::Decided(Failure::message_refused(reply, &stage.to_string()).into_outcome())
        }
        RecipientResult::TooManyRecipients(_) => Judged::NextTransaction,
        // RFC 5321 §4.5.3.2.6, RFC 1047: the far end may have it. Asking another host at once would
        // make a duplicate likely; later is soon enough.
        RecipientResult::Interrupted {
            stage: Stage::FinalDot,
            ending,
        } => Judged::Decided(
            Failure::lost(format!(
                "{ending} after the final dot: the message may arrive twice"
            ))
            .into_outcome(),
        ),
        RecipientResult::Interrupted {
            stage,
            ending: Ending::ByServer(reply),
        } => Judged::NextHost(Failure::session_refused(reply, &stage.to_string())),
        RecipientResult::Interrupted { stage, ending } => {
            Judged::NextHost(Failure::broken_off(format!("{ending} ({stage})")))
        }
    }
}

/// RFC 5321 §3.8: with 421 the server closes, whatever was asked.
fn ends_session(reply: &Reply) -> bool {
    reply.code == smtp::ReplyCode::UNAVAILABLE
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
