//! A gRPC server that runs, and a directory to ask.

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rpc::directory::{Authentication, DirectoryService, Login, Lookup, directory_server};
use rpc::{
    ChannelConfig, GrpcServer, GrpcServerConfig, GrpcService, Health, ServiceFailure, Target,
};
use secrecy::{ExposeSecret, SecretString};
use smtp::Mailbox;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything in these tests may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const ANYWHERE: &str = "127.0.0.1:0";

/// A server until it is stopped or dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) health: Health,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(config: &GrpcServerConfig, service: GrpcService) -> Self {
        let server = GrpcServer::bind(config).await.unwrap().with(service);
        let shutdown = CancellationToken::new();
        Self {
            address: server.local_addr(),
            health: server.health(),
            shutdown: shutdown.clone(),
            task: tokio::spawn(async move { server.serve(shutdown).await.unwrap() }),
        }
    }

    pub(crate) async fn plain(bind: &str, service: GrpcService) -> Self {
        Self::start(&GrpcServerConfig::plain(bind.parse().unwrap()), service).await
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        within(self.task).await.unwrap();
    }

    /// A plain channel to it.
    pub(crate) fn channel(&self) -> ChannelConfig {
        channel_to(&[self.address])
    }
}

pub(crate) fn target(address: SocketAddr) -> Target {
    Target::new(address.ip().to_string(), address.port())
}

pub(crate) fn channel_to(addresses: &[SocketAddr]) -> ChannelConfig {
    ChannelConfig::plain(
        addresses.iter().copied().map(target).collect(),
        Duration::from_secs(5),
    )
}

/// Fails the test rather than wait for ever.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("took too long")
}

/// Waits for what has no event of its own.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    within(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Knows `alice@example.org`, whose password is `sesame`.
#[derive(Default)]
pub(crate) struct TestDirectory {
    pub(crate) calls: Arc<AtomicUsize>,
    /// Never answers.
    pub(crate) is_stalled: bool,
}

impl TestDirectory {
    pub(crate) fn service(self) -> GrpcService {
        directory_server(self)
    }

    async fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.is_stalled {
            pending::<()>().await;
        }
    }
}

impl DirectoryService for TestDirectory {
    async fn lookup(&self, mailbox: &Mailbox) -> Result<Lookup, ServiceFailure> {
        self.count().await;
        Ok(match mailbox.to_string().as_str() {
            "alice@example.org" => Lookup::Mailbox,
            "gone@example.org" => Lookup::Disabled,
            "broken@example.org" => return Err(ServiceFailure::Internal("it broke".to_owned())),
            address if address.ends_with("@example.org") => Lookup::Unknown,
            _ => Lookup::NotLocal,
        })
    }

    async fn is_local(&self, domain: &str) -> Result<bool, ServiceFailure> {
        self.count().await;
        Ok(domain == "example.org")
    }

    async fn postmaster(&self) -> Result<Option<Mailbox>, ServiceFailure> {
        self.count().await;
        Ok(Some("postmaster@example.org".parse().unwrap()))
    }

    async fn authenticate(
        &self,
        login: &str,
        password: SecretString,
    ) -> Result<Authentication, ServiceFailure> {
        self.count().await;
        let fits = login == "alice@example.org" && password.expose_secret() == "sesame";
        Ok(if fits {
            Authentication::Accepted(Login {
                account: login.parse().unwrap(),
                tenant: 7,
            })
        } else {
            Authentication::Rejected
        })
    }

    async fn may_send_as(
        &self,
        account: &Mailbox,
        address: &Mailbox,
    ) -> Result<bool, ServiceFailure> {
        self.count().await;
        Ok(account == address)
    }
}
