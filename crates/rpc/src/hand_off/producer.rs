//! The producer's side: who hands mail off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::{fmt, mem};

use queue::{DestinationKey, IncarnationId, LeasedUnit, Shard, Tenant};

use super::INLINE_LIMIT;
use super::connection::Connection;
use super::fairness::Usage;
use super::link::{Link, Links};
use super::load::Load;
use super::metrics;
use super::pool::{Hold, PoolAccount};
use super::relay::{Relay, RelayHandOff};
use super::wire::{inline, load_of, message_of};
use crate::channel::{ChannelConfig, ChannelError, Connector, Roster};

/// What a message about to be committed asks credit for.
#[derive(Clone, Copy, Debug)]
pub struct CreditRequest {
    /// Whose mail it is. A tenant that fills the hand-off leaves a reserve to others.
    pub tenant: Tenant,
    /// How many units it will have: one for each routing domain among its recipients.
    pub units: usize,
    /// Size of its content in octets.
    pub size: usize,
}

impl CreditRequest {
    fn load(&self) -> Load {
        let size = self.size as u64;
        Load {
            units: self.units as u64,
            bytes: if size <= INLINE_LIMIT { size } else { 0 },
        }
    }
}

/// The way from a producer to the relays. Clones share it.
///
/// No method waits. Whatever is not handed off is found in Postgres.
#[derive(Clone)]
pub struct HandOff {
    pub(super) inner: Arc<Inner>,
}

/// Counts since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandOffStatistics {
    /// Units on their way to a relay.
    pub handed_off: u64,
    /// Units that were leased and then not sent, because the stream was gone or its buffer full:
    /// their relay sweeps them from Postgres.
    pub dropped: u64,
    /// Requests for credit that came to nothing.
    pub refused: u64,
}

pub(super) struct Inner {
    way: Way,
    usage: Usage,
    counts: Counts,
}

enum Way {
    /// No relay is known: polls find everything.
    Off,
    /// Streams to relays elsewhere.
    Streams {
        links: Arc<Links>,
        next: AtomicUsize,
        _connections: Roster<Connection>,
    },
    /// The relay in this process.
    Local {
        relay: Arc<Relay>,
        account: PoolAccount,
    },
}

#[derive(Default)]
struct Counts {
    handed_off: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
}

impl HandOff {
    /// Joins every relay that the targets resolve to, and keeps at it. Returns at once. Must be
    /// called within a tokio runtime. The config's deadline is not used.
    ///
    /// # Errors
    /// [`ChannelError`], all of it configuration.
    pub fn connect(config: &ChannelConfig) -> Result<Self, ChannelError> {
        let connector = Connector::new(config)?;
        let links = Arc::new(Links::default());
        let for_connections = Arc::clone(&links);
        let connections = Roster::start(config.targets.clone(), move |address| {
            let links = Arc::clone(&for_connections);
            Some(Connection::start(connector.clone(), address, links))
        });
        Ok(Self::new(Way::Streams {
            links,
            next: AtomicUsize::new(0),
            _connections: connections,
        }))
    }

    /// Hands off to the relay in this process, under the same credits.
    #[must_use]
    pub fn local(relay: &RelayHandOff) -> Self {
        let relay = Arc::clone(relay.relay());
        let account = relay.pool.open();
        Self::new(Way::Local { relay, account })
    }

    /// Hands off nothing: polls find everything.
    #[must_use]
    pub fn off() -> Self {
        Self::new(Way::Off)
    }

    fn new(way: Way) -> Self {
        let producer = Self {
            inner: Arc::new(Inner {
                way,
                usage: Usage::default(),
                counts: Counts::default(),
            }),
        };
        metrics::observe_producer(&producer);
        producer
    }

    /// Credit for one message, if a relay has room for it now: the message is then to be leased
    /// to [`Credit::holder`] as it is committed. Relays take turns.
    #[must_use]
    pub fn try_credit(&self, request: &CreditRequest) -> Option<Credit> {
        let load = request.load();
        let is_filling = self.inner.usage.is_filling(request.tenant);
        let credit = match &self.inner.way {
            Way::Off => None,
            Way::Streams { links, next, .. } => {
                let links = links.all();
                let start = next.fetch_add(1, Ordering::Relaxed) % links.len().max(1);
                let (former, latter) = links.split_at(start);
                latter
                    .iter()
                    .chain(former)
                    .find(|link| link.take_credit(load, is_filling))
                    .map(|link| (link.holder(), Means::Stream(Arc::clone(link), load)))
            }
            Way::Local { relay, account } => relay.incarnation().and_then(|holder| {
                let hold = account.take(load, is_filling)?;
                Some((holder, Means::Local(Arc::clone(relay), hold)))
            }),
        };
        match &credit {
            Some(_) => self.inner.usage.note(request.tenant, load.units),
            None => add(&self.inner.counts.refused, 1),
        }
        let (holder, means) = credit?;
        Some(Credit {
            holder,
            means,
            producer: self.clone(),
        })
    }

    /// Tells one relay, each time another, that a shard has got mail without a lease.
    pub fn hint(&self, shard: Shard) {
        match &self.inner.way {
            Way::Off => {}
            Way::Streams { links, next, .. } => {
                let links = links.all();
                let turn = next.fetch_add(1, Ordering::Relaxed) % links.len().max(1);
                if let Some(link) = links.get(turn) {
                    link.hint(shard);
                }
            }
            Way::Local { relay, .. } => relay.hint(shard),
        }
    }

    /// Whether any relay says that the destination takes no mail now: mail to it is to be
    /// committed without a lease.
    #[must_use]
    pub fn is_suspended(&self, destination: &DestinationKey) -> bool {
        match &self.inner.way {
            Way::Off => false,
            Way::Streams { links, .. } => links
                .all()
                .iter()
                .any(|link| link.suspensions().contains(destination)),
            Way::Local { relay, .. } => relay.suspensions.contains(destination),
        }
    }

    /// The relays that mail can be handed off to now.
    #[must_use]
    pub fn relays(&self) -> Vec<IncarnationId> {
        match &self.inner.way {
            Way::Off => Vec::new(),
            Way::Streams { links, .. } => links.all().iter().map(|link| link.holder()).collect(),
            Way::Local { relay, .. } => relay.incarnation().into_iter().collect(),
        }
    }

    /// What has happened so far.
    #[must_use]
    pub fn statistics(&self) -> HandOffStatistics {
        let counts = &self.inner.counts;
        HandOffStatistics {
            handed_off: counts.handed_off.load(Ordering::Relaxed),
            dropped: counts.dropped.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
        }
    }
}

fn add(counter: &AtomicU64, units: usize) {
    counter.fetch_add(units as u64, Ordering::Relaxed);
}

/// Room at one relay for one message. Dropped unused, it goes back.
#[must_use = "credit that is not used is lost on others while it is held"]
pub struct Credit {
    holder: IncarnationId,
    means: Means,
    producer: HandOff,
}

enum Means {
    /// Taken from the balance of the link, to which what is left goes back.
    Stream(Arc<Link>, Load),
    Local(Arc<Relay>, Hold),
    Used,
}

impl Credit {
    /// The incarnation that the message is to be leased to.
    #[must_use]
    pub fn holder(&self) -> IncarnationId {
        self.holder
    }

    /// Hands the units of the message off, once it is committed. All of them must be leased to
    /// [`Credit::holder`]. Never waits and never fails: what cannot be sent is counted, and found
    /// by the relay's sweep.
    pub fn send(mut self, units: Vec<LeasedUnit>) {
        let count = units.len();
        let is_sent = units.iter().all(|unit| unit.lease.holder == self.holder)
            && match mem::replace(&mut self.means, Means::Used) {
                Means::Stream(link, credit) => send_on(&link, credit, &units),
                Means::Local(relay, hold) => self.pass_on(&relay, hold, units),
                Means::Used => false,
            };
        let counts = &self.producer.inner.counts;
        add(
            if is_sent {
                &counts.handed_off
            } else {
                &counts.dropped
            },
            count,
        );
    }

    fn pass_on(&self, relay: &Relay, hold: Hold, mut units: Vec<LeasedUnit>) -> bool {
        if relay.incarnation() != Some(self.holder) {
            return false;
        }
        for unit in &mut units {
            if inline(unit.content.as_ref()).is_none() {
                unit.content = None;
            }
        }
        relay.pass_on(Relay::handed_off(units, hold).collect());
        true
    }
}

/// Sends what the credit is good for; what is left of it goes back.
fn send_on(link: &Link, credit: Load, units: &[LeasedUnit]) -> bool {
    let rest = message_of(units).and_then(|message| {
        let rest = credit.checked_sub(load_of(&message))?;
        link.send(message).then_some(rest)
    });
    link.return_credit(rest.unwrap_or(credit));
    rest.is_some()
}

impl Drop for Credit {
    fn drop(&mut self) {
        if let Means::Stream(link, credit) = &self.means {
            link.return_credit(*credit);
        }
    }
}

impl fmt::Debug for Credit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credit")
            .field("holder", &self.holder)
            .finish_non_exhaustive()
    }
}
