//! Who is there: the addresses that a service's names resolve to, kept up to date.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::net::lookup_host;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

use super::config::Target;

/// How often names are resolved again; jittered by up to a fifth.
const INTERVAL: Duration = Duration::from_secs(5);
/// Least time between two rounds, however often an early one is asked for.
const MIN_INTERVAL: Duration = Duration::from_millis(500);
/// How long one name may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// Most addresses of one name that are used.
const MAX_ADDRESSES: usize = 64;

/// One address of a service, and the target that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    target: Target,
    socket: SocketAddr,
}

impl Address {
    pub(crate) fn new(target: Target, socket: SocketAddr) -> Self {
        Self { target, socket }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn socket(&self) -> SocketAddr {
        self.socket
    }
}

/// One `T` for each address of a service: made when the address appears, dropped when its name no
/// longer resolves to it. A name that does not resolve at all keeps the addresses that it had.
pub(crate) struct Roster<T> {
    members: watch::Receiver<Arc<[Arc<T>]>>,
    refresh: Arc<Notify>,
    _task: DropGuard,
}

impl<T: Send + Sync + 'static> Roster<T> {
    /// Starts to resolve. `make` may decline an address.
    pub(crate) fn start(
        mut targets: Vec<Target>,
        make: impl Fn(&Address) -> Option<T> + Send + 'static,
    ) -> Self {
        let mut seen = HashSet::new();
        targets.retain(|target| seen.insert(target.clone()));
        let (sender, members) = watch::channel(Arc::from([]));
        let refresh = Arc::new(Notify::new());
        let cancelled = CancellationToken::new();
        let keeper = Keeper {
            targets,
            known: HashMap::new(),
            members: HashMap::new(),
            make,
            sender,
        };
        tokio::spawn(
            cancelled
                .clone()
                .run_until_cancelled_owned(keeper.run(Arc::clone(&refresh))),
        );
        Self {
            members,
            refresh,
            _task: cancelled.drop_guard(),
        }
    }

    /// Those that are there now.
    pub(crate) fn members(&self) -> Arc<[Arc<T>]> {
        Arc::clone(&self.members.borrow())
    }

    /// Those that are there, as soon as there are any.
    pub(crate) async fn some_members(&self) -> Arc<[Arc<T>]> {
        let mut members = self.members.clone();
        match members.wait_for(|members| !members.is_empty()).await {
            Ok(members) => Arc::clone(&members),
            Err(_) => self.members(),
        }
    }

    /// Asks for a resolution before its time, because nobody answers.
    pub(crate) fn refresh(&self) {
        self.refresh.notify_one();
    }
}

/// The task behind a [`Roster`].
struct Keeper<T, F> {
    targets: Vec<Target>,
    known: HashMap<Target, Vec<SocketAddr>>,
    members: HashMap<Address, Arc<T>>,
    make: F,
    sender: watch::Sender<Arc<[Arc<T>]>>,
}

impl<T, F: Fn(&Address) -> Option<T>> Keeper<T, F> {
    async fn run(mut self, refresh: Arc<Notify>) {
        loop {
            for target in self.targets.clone() {
                if let Some(addresses) = resolve(&target).await {
                    self.known.insert(target, addresses);
                }
            }
            self.update();
            sleep(MIN_INTERVAL).await;
            if self.known.len() == self.targets.len() {
                let _ = timeout(until_next_round(), refresh.notified()).await;
            }
        }
    }

    fn update(&mut self) {
        let mut order = Vec::new();
        let mut members = HashMap::new();
        for target in &self.targets {
            for socket in self.known.get(target).into_iter().flatten() {
                let address = Address::new(target.clone(), *socket);
                let member = match self.members.remove(&address) {
                    Some(member) => member,
                    None => match (self.make)(&address) {
                        Some(member) => Arc::new(member),
                        None => continue,
                    },
                };
                order.push(Arc::clone(&member));
                members.insert(address, member);
            }
        }
        self.members = members;
        self.sender.send_if_modified(|current| {
            let same = current.len() == order.len()
                && current.iter().zip(&order).all(|(a, b)| Arc::ptr_eq(a, b));
            if !same {
                *current = order.into();
            }
            !same
        });
    }
}

fn until_next_round() -> Duration {
    INTERVAL.mul_f64(rand::rng().random_range(0.8..1.2))
}

/// The addresses in a stable order; none when the name could not be resolved now.
pub(super) async fn resolve(target: &Target) -> Option<Vec<SocketAddr>> {
    let lookup = timeout(DEADLINE, lookup_host((target.host(), target.port())));
    let mut addresses: Vec<_> = match lookup.await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            debug!(%target, %error, "name does not resolve");
            return None;
        }
        Err(_) => {
            debug!(%target, "name does not resolve in time");
            return None;
        }
    };
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(MAX_ADDRESSES);
    (!addresses.is_empty()).then_some(addresses)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn each_address_has_one_member_for_as_long_as_it_is_there() {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&made);
        let roster = Roster::start(
            vec![Target::new("127.0.0.1", 1), Target::new("127.0.0.2", 2)],
            move |address| {
                counter.fetch_add(1, Ordering::Relaxed);
                Some(address.socket())
            },
        );
        let first = roster.some_members().await;
        assert_eq!(first.len(), 2);
        roster.refresh();
        let members = roster.members();
        assert!(Arc::ptr_eq(&first[0], &members[0]));
        assert_eq!(made.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_vanished_address_loses_its_member() {
        let target = Target::new("relay", 1);
        let (sender, receiver) = watch::channel(Arc::from([]));
        let mut keeper = Keeper {
            targets: vec![target.clone()],
            known: HashMap::new(),
            members: HashMap::new(),
            make: |address: &Address| Some(address.socket()),
            sender,
        };
        let addresses: [SocketAddr; 2] = [
            "192.0.2.1:1".parse().unwrap(),
            "192.0.2.2:1".parse().unwrap(),
        ];
        keeper.known.insert(target.clone(), addresses.to_vec());
        keeper.update();
        let kept = Arc::clone(&receiver.borrow()[1]);
        keeper.known.insert(target, vec![addresses[1]]);
        keeper.update();
        assert_eq!(receiver.borrow().len(), 1);
        assert!(Arc::ptr_eq(&kept, &receiver.borrow()[0]));
    }
}
