//! Calls to a service of several equal instances.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tracing::{debug, warn};

use super::config::{ChannelConfig, ChannelError};
use super::connector::Connector;
use super::roster::{Address, Roster};
use crate::error::{RpcError, is_transport_failure};
use crate::token::Token;

/// How long an instance that failed is passed over; doubles with each failure in a row.
const FIRST_REST: Duration = Duration::from_millis(250);
const LONGEST_REST: Duration = Duration::from_secs(8);
/// All instances get a second chance, since a connection may have ended unnoticed.
const ROUNDS: usize = 2;
const BETWEEN_ROUNDS: Duration = Duration::from_millis(100);

/// A call that is under way.
///
/// Boxed by the client that makes it. The code of a bare future is compiled by whoever awaits it, so
/// that each service would compile the client's insides once more; a boxed one has its code in this
/// crate.
pub type Call<'a, T> = BoxFuture<'a, Result<T, RpcError>>;

/// What a generated client is put upon: a channel that adds token and deadline to each request.
pub(crate) type Wire = InterceptedService<Channel, CallMetadata>;

/// A channel to all instances of one service, in turn.
///
/// A call whose connection fails goes on to the next instance until its deadline: so calls must
/// be idempotent, and all of ours are. Instances that failed are passed over for a while, unless
/// there are no others.
#[derive(Clone)]
pub(crate) struct Balanced {
    inner: Arc<Inner>,
}

struct Inner {
    service: &'static str,
    deadline: Duration,
    token: Option<Token>,
    next: AtomicUsize,
    roster: Roster<Instance>,
}

impl Balanced {
    /// A channel that connects when it is first used. Must be called within a tokio runtime.
    pub(crate) fn new(service: &'static str, config: &ChannelConfig) -> Result<Self, ChannelError> {
        let connector = Connector::new(config)?;
        let token = connector.token().cloned();
        let roster = Roster::start(config.targets.clone(), move |address| {
            Instance::new(&connector, address)
        });
        Ok(Self {
            inner: Arc::new(Inner {
                service,
                deadline: config.deadline,
                token,
                next: AtomicUsize::new(0),
                roster,
            }),
        })
    }

    /// Makes one call. `call` may be asked several times, each time for another instance.
    pub(crate) async fn call<T, F>(&self, call: impl Fn(Wire) -> F) -> Result<T, RpcError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let inner = &*self.inner;
        let service = inner.service;
        let until = Instant::now() + inner.deadline;
        let Ok(instances) = timeout_at(until, inner.roster.some_members()).await else {
            return Err(RpcError::Unresolved { service });
        };
        let order = inner.in_turn(&instances);
        let mut failure = Status::unavailable("no instance is known");
        for round in 0..ROUNDS {
            if round > 0 {
                sleep(BETWEEN_ROUNDS).await;
            }
            for instance in &order {
                let answer = timeout_at(until, call(inner.wire(instance, until))).await;
                match answer {
                    Ok(Ok(response)) => {
                        instance.succeeded();
                        return Ok(response.into_inner());
                    }
                    Ok(Err(status)) if Instant::now() < until => {
                        if !is_transport_failure(&status) {
                            return Err(RpcError::from_status(service, status));
                        }
                        debug!(service, address = %instance.socket, %status, "call failed");
                        inner.put_aside(instance);
                        failure = status;
                    }
                    Ok(Err(_)) | Err(_) => {
                        inner.put_aside(instance);
                        let deadline = inner.deadline;
                        return Err(RpcError::Deadline { service, deadline });
                    }
                }
            }
        }
        Err(RpcError::from_status(service, failure))
    }
}

impl Inner {
    fn wire(&self, instance: &Instance, until: Instant) -> Wire {
        let metadata = CallMetadata {
            token: self.token.clone(),
            timeout: Some(until.saturating_duration_since(Instant::now())),
        };
        InterceptedService::new(instance.channel.clone(), metadata)
    }

    /// The instances in the order in which this call should try them: round robin, those that
    /// failed of late at the end.
    fn in_turn(&self, instances: &[Arc<Instance>]) -> Vec<Arc<Instance>> {
        let start = self.next.fetch_add(1, Ordering::Relaxed) % instances.len().max(1);
        let (former, latter) = instances.split_at(start);
        let now = Instant::now();
        let (mut order, resting): (Vec<_>, Vec<_>) = latter
            .iter()
            .chain(former)
            .cloned()
            .partition(|instance| !instance.is_resting(now));
        order.extend(resting);
        order
    }

    fn put_aside(&self, instance: &Instance) {
        instance.failed();
        self.roster.refresh();
    }
}

/// One address of the service.
struct Instance {
    socket: SocketAddr,
    channel: Channel,
    health: Mutex<Health>,
}

#[derive(Default)]
struct Health {
    failures: u32,
    resting_until: Option<Instant>,
}

impl Instance {
    fn new(connector: &Connector, address: &Address) -> Option<Self> {
        let endpoint = connector
            .endpoint(address)
            .inspect_err(|error| warn!(address = %address.socket(), %error, "address is unusable"))
            .ok()?;
        Some(Self {
            socket: address.socket(),
            channel: endpoint.connect_lazy(),
            health: Mutex::default(),
        })
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_resting(&self, now: Instant) -> bool {
        self.health().resting_until.is_some_and(|until| now < until)
    }

    fn succeeded(&self) {
        *self.health() = Health::default();
    }

    fn failed(&self) {
        let mut health = self.health();
        let rest = FIRST_REST
            .saturating_mul(1 << health.failures.min(10))
            .min(LONGEST_REST);
        health.failures = health.failures.saturating_add(1);
        health.resting_until = Some(Instant::now() + rest);
    }
}

/// What goes along with each call.
#[derive(Clone)]
pub(crate) struct CallMetadata {
    token: Option<Token>,
    timeout: Option<Duration>,
}

impl CallMetadata {
    /// For a stream that lasts as long as it may.
    pub(crate) fn endless(token: Option<Token>) -> Self {
        Self {
            token,
            timeout: None,
        }
    }
}

impl Interceptor for CallMetadata {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout);
        }
        if let Some(token) = &self.token {
            token.show(request.metadata_mut());
        }
        Ok(request)
    }
}
