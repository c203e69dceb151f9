//! A submission service with all that it needs, in this process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use ::directory::Directory;
use queue::{DatabaseConfig, DestinationKey, Filter, Queue, QueuedUnit, Tenant};
use rpc::hand_off::{CreditRequest, HandOff};
use rustls::ClientConfig;
use service::config::{ListenTls, load_with};
use submission::{Config, ENVIRONMENT_PREFIX, Running, StartError};
use tempfile::TempDir;
use testkit::{TestDatabase, TestPostgres};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::certificate::{self, CERTIFICATE_FILE, HOST, KEY_FILE};
use crate::client::Client;
use crate::directory::{PASSWORD, Served, populated};
use crate::hand_off::Relay;

/// `alice@example.org`, her password, in SASL PLAIN.
pub(crate) static ALICE: LazyLock<String> =
    LazyLock::new(|| plain("", "alice@example.org", PASSWORD));

pub(crate) fn plain(act_as: &str, login: &str, password: &str) -> String {
    base64(&format!("{act_as}\0{login}\0{password}"))
}

pub(crate) fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

pub(crate) struct Fleet {
    pub(crate) starttls: SocketAddr,
    pub(crate) implicit: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) trust: Arc<ClientConfig>,
    pub(crate) folder: TempDir,
    pub(crate) directory: Directory,
    pub(crate) served: Option<Served>,
    pub(crate) relay: Relay,
    hand_off: HandOff,
    queue: Queue,
    pub(crate) tls: smtp_net::ReloadingTls,
    shutdown: CancellationToken,
    ended: JoinHandle<()>,
}

impl Fleet {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With settings such as `("LIMITS__RECIPIENTS", "100")`.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let database = testkit::database().await;
        Self::on(database.clone(), database, settings).await
    }

    /// With the queue on a server of its own, which may fail.
    pub(crate) async fn with_queue_on(postgres: &TestPostgres) -> Self {
        let queue = postgres.database().await;
        Self::on(testkit::database().await, queue, &[]).await
    }

    async fn on(accounts: TestDatabase, queue: TestDatabase, settings: &[(&str, &str)]) -> Self {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let directory = populated(&accounts).await;
        let served = Served::start(any_port, directory.clone()).await;
        let relay = Relay::start().await;
        let folder = tempfile::tempdir().unwrap();
        let trust = certificate::renew(folder.path());
        let addresses = [
            ("DIRECTORY__TARGETS", format!("[\"{}\"]", served.address)),
            ("RELAY__TARGETS", format!("[\"{}\"]", relay.address)),
        ];
        let mut all: Vec<_> = addresses
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        all.extend(settings);
        let config = config(&queue, folder.path(), &all);
        let shutdown = CancellationToken::new();
        let running = submission::run(config, shutdown.clone()).await.unwrap();
        joined(running.hand_off()).await;
        Self {
            starttls: running.address(ListenTls::StartTls).unwrap(),
            implicit: running.address(ListenTls::Implicit).unwrap(),
            grpc: running.grpc_address().unwrap(),
            trust,
            folder,
            directory,
            served: Some(served),
            relay,
            hand_off: running.hand_off().clone(),
            queue: Queue::connect(&DatabaseConfig::new(queue.url()))
                .await
                .unwrap(),
            tls: running.tls(),
            shutdown,
            ended: tokio::spawn(wait(running)),
        }
    }

    /// A client that has greeted over STARTTLS.
    pub(crate) fn encrypted(&self) -> Client {
        let mut client = Client::connect(self.starttls);
        client.expect("220 mail.example.org");
        client.ask("EHLO client.example.net", "250");
        client.ask("STARTTLS", "220");
        let mut client = client.into_tls(&self.trust);
        client.ask("EHLO client.example.net", "250");
        client
    }

    /// A client that has logged in as alice.
    pub(crate) fn logged_in(&self) -> Client {
        let mut client = self.encrypted();
        client.ask(&format!("AUTH PLAIN {}", *ALICE), "235 2.7.0");
        client
    }

    /// What is queued, of one message.
    pub(crate) async fn queued(&self, id: &str) -> Vec<QueuedUnit> {
        let filter = Filter {
            queue_id: Some(id.parse().unwrap()),
            ..Filter::default()
        };
        self.queue.list(&filter, None, 100).await.unwrap()
    }

    /// Waits until the service has heard that the destination is suspended.
    pub(crate) async fn suspension_is_known(&self, domain: &str) {
        let destination = DestinationKey {
            tenant: Tenant(7),
            domain: domain.to_owned(),
        };
        testkit::wait_until("the suspension", async || {
            self.hand_off.is_suspended(&destination)
        })
        .await;
    }

    /// Waits until the service knows of no relay.
    pub(crate) async fn relays_are_gone(&self) {
        testkit::wait_until("no relay", async || self.hand_off.relays().is_empty()).await;
    }

    pub(crate) fn shut_down(&self) {
        self.shutdown.cancel();
    }

    pub(crate) async fn ended(self) {
        self.ended.await.unwrap();
    }
}

/// Waits until the hand-off has credit, so that no test depends on who was faster.
async fn joined(hand_off: &HandOff) {
    let request = CreditRequest {
        tenant: Tenant(7),
        units: 3,
        size: 100_000,
    };
    testkit::wait_until("credit", async || hand_off.try_credit(&request).is_some()).await;
}

async fn wait(running: Running) {
    running.wait().await.unwrap();
}

/// The environment variables of a service; the settings replace ours.
pub(crate) fn environment(
    queue: &TestDatabase,
    folder: &Path,
    settings: &[(&str, &str)],
) -> Vec<(String, String)> {
    let path = |file| folder.join(file).to_str().unwrap().to_owned();
    let listen =
        "[{ address = \"127.0.0.1:0\" }, { address = \"127.0.0.1:0\", tls = \"implicit\" }]";
    let mut all = BTreeMap::from([
        ("HOST_NAME", HOST.to_owned()),
        ("LISTEN", listen.to_owned()),
        ("TLS__CERTIFICATE", path(CERTIFICATE_FILE)),
        ("TLS__KEY", path(KEY_FILE)),
        ("DATABASE__URL", queue.url().to_owned()),
        ("GRPC__BIND", "127.0.0.1:0".to_owned()),
    ]);
    let settings = settings.iter();
    all.extend(settings.map(|(key, value)| (*key, (*value).to_owned())));
    all.into_iter()
        .map(|(key, value)| (format!("{ENVIRONMENT_PREFIX}__{key}"), value))
        .collect()
}

fn config(queue: &TestDatabase, folder: &Path, settings: &[(&str, &str)]) -> Config {
    let environment = environment(queue, folder, settings);
    load_with(None, ENVIRONMENT_PREFIX, environment).unwrap()
}

/// Why a service with these settings does not start.
pub(crate) async fn start_error(settings: &[(&str, &str)]) -> StartError {
    let database = testkit::database().await;
    let folder = tempfile::tempdir().unwrap();
    certificate::renew(folder.path());
    let mut all = vec![("DIRECTORY__TARGETS", "[\"127.0.0.1:1\"]")];
    all.extend(settings);
    let config = config(&database, folder.path(), &all);
    submission::run(config, CancellationToken::new())
        .await
        .unwrap_err()
}
