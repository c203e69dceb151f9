//! A relay to hand off to, and messages for it.

use std::net::SocketAddr;

use queue::{
    Content, IncarnationId, Lease, LeasedRecipient, LeasedUnit, QueueId, Shard, Tenant,
    TraceParent, UnitId,
};
use rpc::hand_off::{Credit, CreditRequest, HandOff, HandOffSink, HandedOff, Load, RelayHandOff};
use smtp::{Body, ReversePath};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use crate::running::{ANYWHERE, Running, channel_to, until, within};

/// What a relay was told.
#[derive(Debug)]
pub(crate) enum Event {
    Units(Vec<HandedOff>),
    Hint(Shard),
}

struct Recorder(mpsc::UnboundedSender<Event>);

impl HandOffSink for Recorder {
    fn receive(&self, units: Vec<HandedOff>) {
        let _ = self.0.send(Event::Units(units));
    }

    fn hint(&self, shard: Shard) {
        let _ = self.0.send(Event::Hint(shard));
    }
}

pub(crate) const CAPACITY: Load = Load::new(1_024, 64 << 20);

/// A relay without a server.
pub(crate) struct BareRelay {
    pub(crate) hand_off: RelayHandOff,
    events: mpsc::UnboundedReceiver<Event>,
}

impl BareRelay {
    pub(crate) fn new(incarnation: i64) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let hand_off = RelayHandOff::new(CAPACITY, Recorder(sender));
        hand_off.open(IncarnationId(incarnation));
        Self { hand_off, events }
    }

    pub(crate) async fn event(&mut self) -> Event {
        within(self.events.recv()).await.unwrap()
    }

    /// The next units, as they come in one go.
    pub(crate) async fn units(&mut self) -> Vec<HandedOff> {
        match self.event().await {
            Event::Units(units) => units,
            Event::Hint(shard) => panic!("a hint for shard {shard} instead of units"),
        }
    }
}

/// A relay that producers can join.
pub(crate) struct TestRelay {
    pub(crate) relay: BareRelay,
    pub(crate) server: Running,
}

impl TestRelay {
    pub(crate) async fn start(incarnation: i64) -> Self {
        Self::start_at(ANYWHERE, incarnation).await
    }

    pub(crate) async fn start_at(bind: &str, incarnation: i64) -> Self {
        let relay = BareRelay::new(incarnation);
        let server = Running::plain(bind, relay.hand_off.service()).await;
        Self { relay, server }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }
}

/// A producer that has joined these relays and has got credit from each.
pub(crate) async fn producer(relays: &[&TestRelay]) -> HandOff {
    let addresses: Vec<_> = relays.iter().map(|relay| relay.address()).collect();
    let producer = HandOff::connect(&channel_to(&addresses)).unwrap();
    until(|| producer.relays().len() == relays.len()).await;
    until(|| (0..relays.len()).all(|_| producer.try_credit(&small(1)).is_some())).await;
    producer
}

/// A request for one unit of 100 octets.
pub(crate) fn small(tenant: i64) -> CreditRequest {
    CreditRequest {
        tenant: Tenant(tenant),
        units: 1,
        size: 100,
    }
}

/// Credit, as soon as there is any.
pub(crate) async fn credit(producer: &HandOff, request: &CreditRequest) -> Credit {
    let mut credit = None;
    until(|| {
        credit = producer.try_credit(request);
        credit.is_some()
    })
    .await;
    credit.unwrap()
}

/// The units of a message to these domains, leased as the credit says.
pub(crate) fn message(holder: IncarnationId, domains: &[&str], content: &[u8]) -> Vec<LeasedUnit> {
    let queue_id = QueueId::generate(Shard::new(1).unwrap());
    let trace = TraceParent::generate();
    let accepted_at = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    (0..)
        .zip(domains)
        .map(|(number, domain)| LeasedUnit {
            lease: Lease {
                unit: UnitId { queue_id, number },
                holder,
                attempt: 1,
            },
            tenant: Tenant(1),
            domain: (*domain).to_owned(),
            reverse_path: ReversePath::from_address("sender@example.org").unwrap(),
            body: Body::EightBitMime,
            recipients: vec![LeasedRecipient {
                number,
                mailbox: format!("someone@{domain}").parse().unwrap(),
            }],
            size: content.len() as u64,
            content: Some(Content::from(content.to_vec())),
            accepted_at,
            expires_at: accepted_at + time::Duration::days(5),
            trace,
            tries: 0,
            unclean_takeovers: 0,
            probe: false,
        })
        .collect()
}

/// Hands off one small message.
pub(crate) async fn hand_off(producer: &HandOff, content: &[u8]) {
    let request = CreditRequest {
        size: content.len(),
        ..small(1)
    };
    let credit = credit(producer, &request).await;
    let holder = credit.holder();
    credit.send(message(holder, &["example.net"], content));
}
