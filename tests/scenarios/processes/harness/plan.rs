//! What a fleet is made of, and how it starts: all processes at once, on a database that is still empty.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use directory::{DatabaseConfig, Directory};
use smtp::{Domain, Mailbox};
use testkit::{Binaries, Proxy, Sink, TestCertificate, TestDatabase};

use super::books::Books;
use super::credentials::Credentials;
use super::ports::steady_address;
use super::service::{Blueprint, Service};
use super::{ALICE, BOB, DOMAIN, FAR, Fleet, PASSWORD};
use crate::fleet::{Settings, quoted};

/// Times that production counts in minutes, in moments; and no limit that a load would run into.
const RELAY: &str = r#"
    outbound.retry_first = "300ms"
    outbound.retry_longest = "1s"
    outbound.suspend_first = "300ms"
    outbound.suspend_longest = "1s"
    outbound.internal_retry = "300ms"
    outbound.drain_deadline = "10s"
    inbound.relay_networks = []
"#;
const SUBMISSION: &str = "
    limits.messages_per_hour = 1000000
";

/// What a fleet is made of.
pub(crate) struct Plan {
    submissions: usize,
    relays: usize,
    deliveries: usize,
    credentials: Credentials,
    everywhere: Settings,
    submission: Settings,
    relay: Settings,
    /// Where mailboxes lie, if not in the fleet's folder.
    mail: Option<PathBuf>,
    /// Whether proxies stand before the services' gRPC.
    with_proxies: bool,
}

impl Plan {
    /// One of each service, which know each other by a token.
    pub(crate) fn new() -> Self {
        let mut plan = Self {
            submissions: 1,
            relays: 1,
            deliveries: 1,
            credentials: Credentials::default(),
            everywhere: Settings::default(),
            submission: Settings::default(),
            relay: Settings::default(),
            mail: None,
            with_proxies: false,
        };
        plan.submission.set(SUBMISSION);
        plan.relay.set(RELAY);
        plan
    }

    /// So many of each service.
    pub(crate) fn of(submissions: usize, relays: usize, deliveries: usize) -> Self {
        Self {
            submissions,
            relays,
            deliveries,
            ..Self::new()
        }
    }

    /// How the services know each other.
    pub(crate) fn credentials(self, credentials: Credentials) -> Self {
        Self {
            credentials,
            ..self
        }
    }

    /// A line of every service's configuration.
    pub(crate) fn everywhere(mut self, line: &str) -> Self {
        self.everywhere.set(line);
        self
    }

    /// A line of the relays' configuration.
    pub(crate) fn relay(mut self, line: &str) -> Self {
        self.relay.set(line);
        self
    }

    /// A line of submission's configuration.
    pub(crate) fn submission(mut self, line: &str) -> Self {
        self.submission.set(line);
        self
    }

    /// Mail for the far domain goes to this far end.
    pub(crate) fn far_end(self, sink: &Sink) -> Self {
        self.far_end_at(sink.address())
    }

    /// Mail for the far domain goes to this address.
    pub(crate) fn far_end_at(self, host: SocketAddr) -> Self {
        self.relay(&format!(
            "route = [{{ domain = \"{FAR}\", smart_host = \"{host}\" }}]"
        ))
    }

    /// Mailboxes lie in this folder.
    pub(crate) fn mail_in(self, folder: &Path) -> Self {
        Self {
            mail: Some(folder.to_owned()),
            ..self
        }
    }

    /// Whatever services say to each other by gRPC goes through the fleet's proxies.
    pub(crate) fn grpc_by_proxies(self) -> Self {
        Self {
            with_proxies: true,
            ..self
        }
    }

    /// Starts all processes at once, waits until they are ready, and makes domain and accounts.
    pub(crate) async fn start(self, database: &TestDatabase) -> Fleet {
        let binaries = testkit::binaries().await;
        let folder = tempfile::tempdir().unwrap();
        let _ = TestCertificate::self_signed(&["localhost"]).write_to(folder.path(), "smtp");
        self.credentials.prepare(folder.path());
        let mail = self.mail.clone();
        let mail = mail.unwrap_or_else(|| folder.path().join("mail"));
        let (deliveries, relays) = (addresses(self.deliveries), addresses(self.relays));
        let mut proxies = Vec::new();
        let deliveries_by = self.ways_to(&deliveries, &mut proxies).await;
        let relays_by = self.ways_to(&relays, &mut proxies).await;
        let site = Site {
            plan: &self,
            binaries: &binaries,
            database,
            folder: folder.path(),
            mail: &mail,
            deliveries,
            relays,
            deliveries_by,
            relays_by,
        };
        let mut fleet = Fleet {
            submissions: (1..=self.submissions)
                .map(|number| site.submission(number))
                .collect(),
            relays: (1..=self.relays).map(|number| site.relay(number)).collect(),
            deliveries: (1..=self.deliveries)
                .map(|number| site.delivery(number))
                .collect(),
            books: Books {
                database: database.clone(),
            },
            folder,
            mail: mail.clone(),
            proxies,
        };
        for service in fleet.services() {
            service.is_ready().await;
        }
        populate(database).await;
        fleet
    }

    /// Where services at these addresses are called.
    async fn ways_to(&self, services: &[SocketAddr], proxies: &mut Vec<Proxy>) -> Vec<SocketAddr> {
        let mut ways = Vec::new();
        for service in services {
            if self.with_proxies {
                let proxy = Proxy::to(*service).await;
                ways.push(proxy.address());
                proxies.push(proxy);
            } else {
                ways.push(*service);
            }
        }
        ways
    }
}

/// Where processes start.
struct Site<'a> {
    plan: &'a Plan,
    binaries: &'a Binaries,
    database: &'a TestDatabase,
    folder: &'a Path,
    mail: &'a Path,
    deliveries: Vec<SocketAddr>,
    relays: Vec<SocketAddr>,
    /// Where they are called, by proxies perhaps.
    deliveries_by: Vec<SocketAddr>,
    relays_by: Vec<SocketAddr>,
}

impl Site<'_> {
    fn submission(&self, number: usize) -> Service {
        let (smtp, grpc) = (steady_address(), steady_address());
        let host_name = format!("mail{number}.fleet.test");
        let mut settings = self.settings(&host_name, grpc);
        settings.set(&format!("listen = [{{ address = \"{smtp}\" }}]"));
        self.certificate(&mut settings);
        self.calls(&mut settings, "directory", &self.deliveries_by);
        self.calls(&mut settings, "relay", &self.relays_by);
        settings.merge(&self.plan.submission);
        self.spawn("submission", host_name, settings, Some(smtp), grpc)
    }

    fn relay(&self, number: usize) -> Service {
        let (smtp, grpc) = (steady_address(), self.relays[number - 1]);
        let host_name = format!("mx{number}.fleet.test");
        let mut settings = self.settings(&host_name, grpc);
        settings.set(&format!(
            "listen = [{{ address = \"{smtp}\" }}]
             node = \"{host_name}\""
        ));
        self.certificate(&mut settings);
        self.calls(&mut settings, "directory", &self.deliveries_by);
        self.calls(&mut settings, "delivery", &self.deliveries_by);
        settings.merge(&self.plan.relay);
        self.spawn("relay", host_name, settings, Some(smtp), grpc)
    }

    fn delivery(&self, number: usize) -> Service {
        let grpc = self.deliveries[number - 1];
        let host_name = format!("delivery{number}.fleet.test");
        let mut settings = self.settings(&host_name, grpc);
        let root = quoted(self.mail.to_owned());
        settings.set(&format!("maildir.root = {root}"));
        self.spawn("delivery", host_name, settings, None, grpc)
    }

    /// What all services are told.
    fn settings(&self, host_name: &str, grpc: SocketAddr) -> Settings {
        let mut settings = Settings::default();
        settings.set(&format!(
            "host_name = \"{host_name}\"
             database.url = \"{}\"
             grpc.bind = \"{grpc}\"",
            self.database.url()
        ));
        self.plan.credentials.demand(&mut settings, self.folder);
        settings.merge(&self.plan.everywhere);
        settings
    }

    fn certificate(&self, settings: &mut Settings) {
        settings.set(&format!(
            "tls.certificate = {}
             tls.key = {}",
            quoted(self.folder.join("smtp.pem")),
            quoted(self.folder.join("smtp.key")),
        ));
    }

    fn calls(&self, settings: &mut Settings, section: &str, targets: &[SocketAddr]) {
        let quoted: Vec<String> = targets
            .iter()
            .map(|target| format!("\"{target}\""))
            .collect();
        settings.set(&format!("{section}.targets = [{}]", quoted.join(", ")));
        self.plan.credentials.show(settings, section, self.folder);
    }

    fn spawn(
        &self,
        program: &'static str,
        host_name: String,
        mut settings: Settings,
        smtp: Option<SocketAddr>,
        grpc: SocketAddr,
    ) -> Service {
        let telemetry = steady_address();
        settings.set(&format!("telemetry.listen = \"{telemetry}\""));
        let blueprint = Blueprint {
            program,
            settings,
            file: self.folder.join(format!("{host_name}.toml")),
            host_name,
            smtp,
            grpc,
            telemetry,
        };
        Service::spawn(self.binaries, blueprint)
    }
}

fn addresses(count: usize) -> Vec<SocketAddr> {
    (0..count).map(|_| steady_address()).collect()
}

/// The domain, and accounts for `alice` and `bob`.
async fn populate(database: &TestDatabase) {
    let config = DatabaseConfig::new(database.url().into());
    let directory = Directory::connect(&config).await.unwrap();
    let domain = Domain::parse(DOMAIN).unwrap();
    directory.add_domain(&domain, None).await.unwrap();
    for account in [ALICE, BOB] {
        let mailbox = Mailbox::parse(account).unwrap();
        let added = directory.add_account(&mailbox, PASSWORD.into()).await;
        added.unwrap();
    }
    directory.close().await;
}
