//! A fleet in this process: submission, relays and deliveries with real sockets, real TLS and a real Postgres, each
//! configured by a file as in production.

mod builder;
mod log;
mod mailbox;
mod part;
mod queue;
mod sending;
mod settings;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ::queue::Tenant;
use directory::{DatabaseConfig, Directory};
use service::config::ListenTls;
use smtp::{Domain, Mailbox};
use tempfile::TempDir;
use testkit::{DnsServer, TestCertificate, TestDatabase};

pub(crate) use builder::Builder;
pub(crate) use mailbox::Mail;
pub(crate) use sending::{begin_data, end_data, letter, submit_over};

use part::{Host, Part};
pub(crate) use queue::number;
pub(crate) use settings::{Settings, quoted};

/// The local domain.
pub(crate) const DOMAIN: &str = "example.test";
/// The password of every account.
pub(crate) const PASSWORD: &str = "correct horse";

/// A running fleet. Ends with [`Fleet::end`], which looks whether the books balance.
pub(crate) struct Fleet {
    plan: Plan,
    database: TestDatabase,
    folder: TempDir,
    /// The operator's hand on the directory.
    pub(crate) directory: Directory,
    /// Whose the local domain is.
    tenant: Tenant,
    deliveries: Vec<Delivery>,
    relays: Vec<Relay>,
    submission: Submission,
}

/// What the fleet is made of.
struct Plan {
    relays: usize,
    deliveries: usize,
    relay: Settings,
    submission: Settings,
    accounts: Vec<String>,
    /// Answers where a scenario has no DNS of its own.
    #[expect(dead_code, reason = "it ends when dropped")]
    no_names: DnsServer,
}

struct Delivery {
    part: Part,
    grpc: SocketAddr,
    lmtp: SocketAddr,
}

struct Relay {
    part: Part,
    smtp: SocketAddr,
    grpc: SocketAddr,
    reloader: relay::Reloader,
}

struct Submission {
    part: Part,
    starttls: SocketAddr,
    implicit_tls: SocketAddr,
    hand_off: rpc::hand_off::HandOff,
}

impl Fleet {
    /// One relay, one delivery, one submission, and the accounts `alice` and `bob`.
    pub(crate) async fn start() -> Self {
        Self::builder()
            .account("alice")
            .account("bob")
            .start()
            .await
    }

    pub(crate) fn builder() -> Builder {
        Builder::new()
    }

    async fn start_as(plan: Plan, database: TestDatabase) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let _ = TestCertificate::self_signed(&["localhost"]).write_to(folder.path(), "smtp");
        let site = Site {
            database: &database,
            folder: folder.path(),
        };
        let mut deliveries = Vec::new();
        for _ in 0..plan.deliveries {
            deliveries.push(site.start_delivery(any_port()).await);
        }
        let (directory, tenant) = site.directory(&plan.accounts).await;
        let delivery_targets = targets(deliveries.iter().map(|delivery| delivery.grpc));
        let mut relays = Vec::new();
        for number in 1..=plan.relays {
            let own = site.relay_settings(number, &plan.relay, &delivery_targets);
            relays.push(site.start_relay(&own).await);
        }
        let relay_targets = targets(relays.iter().map(|relay| relay.grpc));
        let submission = site
            .start_submission(&plan.submission, &delivery_targets, &relay_targets)
            .await;
        Self {
            plan,
            database,
            folder,
            directory,
            tenant,
            deliveries,
            relays,
            submission,
        }
    }

    /// Where other servers connect to the first relay.
    pub(crate) fn relay_address(&self) -> SocketAddr {
        self.relays[0].smtp
    }

    /// Where other servers connect to some relay, counted from 0.
    pub(crate) fn relay_address_of(&self, number: usize) -> SocketAddr {
        self.relays[number].smtp
    }

    /// Where mail clients connect.
    pub(crate) fn submission_address(&self) -> SocketAddr {
        self.submission.starttls
    }

    /// Where mail clients connect that speak TLS from the first byte.
    pub(crate) fn submission_tls_address(&self) -> SocketAddr {
        self.submission.implicit_tls
    }

    /// Where applications connect that deliver by LMTP.
    pub(crate) fn lmtp_address(&self) -> SocketAddr {
        self.deliveries[0].lmtp
    }

    /// The certificate, for `localhost`, that all services show.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("smtp.pem")
    }

    /// Ends a delivery service in good order; [`Fleet::restart_delivery`] brings it back.
    pub(crate) async fn stop_delivery(&mut self, number: usize) {
        self.deliveries[number].part.stop().await;
    }

    /// Starts a delivery service again where it was.
    pub(crate) async fn restart_delivery(&mut self, number: usize) {
        let address = self.deliveries[number].grpc;
        self.deliveries[number] = self.site().start_delivery(address).await;
    }

    /// Ends a relay in good order.
    pub(crate) async fn stop_relay(&mut self, number: usize) {
        self.relays[number].part.stop().await;
    }

    /// Ends a relay without any order.
    pub(crate) fn kill_relay(&mut self, number: usize) {
        self.relays[number].part.kill();
    }

    /// Changes the first relay's configuration and has it read again, as SIGHUP does.
    pub(crate) fn reload_relay(&mut self, line: &str) {
        self.plan.relay.set(line);
        let targets = targets(self.deliveries.iter().map(|delivery| delivery.grpc));
        let own = self.site().relay_settings(1, &self.plan.relay, &targets);
        let config = own.load(
            &self.folder.path().join("relay.toml"),
            relay::ENVIRONMENT_PREFIX,
        );
        self.relays[0].reloader.reload(&config).unwrap();
    }

    /// Ends all services in good order, and looks whether any recipient got lost in the books.
    pub(crate) async fn end(mut self) {
        self.submission.part.stop().await;
        for relay in &mut self.relays {
            relay.part.stop().await;
        }
        for delivery in &mut self.deliveries {
            delivery.part.stop().await;
        }
        self.assert_nothing_is_leased().await;
        self.assert_books_balance().await;
    }

    fn site(&self) -> Site<'_> {
        Site {
            database: &self.database,
            folder: self.folder.path(),
        }
    }
}

/// Where services are set up.
struct Site<'a> {
    database: &'a TestDatabase,
    folder: &'a Path,
}

impl Site<'_> {
    async fn directory(&self, accounts: &[String]) -> (Directory, Tenant) {
        let config = DatabaseConfig::new(self.database.url().into());
        let directory = Directory::connect(&config).await.unwrap();
        let domain = Domain::parse(DOMAIN).unwrap();
        let tenant = directory.add_domain(&domain, None).await.unwrap();
        for account in accounts {
            let mailbox = Mailbox::parse(account).unwrap();
            let added = directory.add_account(&mailbox, PASSWORD.into()).await;
            added.unwrap();
        }
        (directory, Tenant(tenant))
    }

    /// What all services are told.
    fn settings(&self, host_name: &str) -> Settings {
        let mut settings = Settings::default();
        settings.set(&format!("host_name = \"{host_name}\""));
        settings.set(&format!("database.url = \"{}\"", self.database.url()));
        settings
    }

    /// What services that speak SMTP are told.
    fn smtp_settings(&self, host_name: &str) -> Settings {
        let mut settings = self.settings(host_name);
        settings.set(&format!(
            "listen = [{}]
             tls.certificate = {}
             tls.key = {}",
            listen("starttls"),
            quoted(self.folder.join("smtp.pem")),
            quoted(self.folder.join("smtp.key")),
        ));
        settings
    }

    async fn start_delivery(&self, grpc: SocketAddr) -> Delivery {
        let mut settings = self.settings("delivery.fleet.test");
        let root = quoted(self.folder.join("mail"));
        settings.set(&format!(
            "maildir.root = {root}
             grpc.bind = \"{grpc}\"
             listen = [{}]",
            listen("none"),
        ));
        let file = self.folder.join("delivery.toml");
        let config: delivery::Config = settings.load(&file, delivery::ENVIRONMENT_PREFIX);
        let host = Host::new();
        let running = host.start(|stop| delivery::run(config, stop)).await;
        Delivery {
            grpc: running.grpc_address(),
            lmtp: running.lmtp_addresses()[0],
            part: host.keep(running.wait()),
        }
    }

    fn relay_settings(&self, number: usize, given: &Settings, deliveries: &str) -> Settings {
        let mut settings = self.smtp_settings(&format!("mx{number}.fleet.test"));
        settings.set(&format!(
            "grpc.bind = \"{}\"
             directory.targets = {deliveries}
             delivery.targets = {deliveries}",
            any_port(),
        ));
        settings.merge(given);
        settings
    }

    async fn start_relay(&self, settings: &Settings) -> Relay {
        let file = self.folder.join("relay.toml");
        let config: relay::Config = settings.load(&file, relay::ENVIRONMENT_PREFIX);
        let host = Host::new();
        let running = host.start(|stop| relay::run(config, stop)).await;
        Relay {
            smtp: running.sockets()[0],
            grpc: running.grpc_address(),
            reloader: running.reloader(),
            part: host.keep(running.wait()),
        }
    }

    async fn start_submission(
        &self,
        given: &Settings,
        deliveries: &str,
        relays: &str,
    ) -> Submission {
        let mut settings = self.smtp_settings("mail.fleet.test");
        settings.set(&format!(
            "listen = [{}, {}]
             directory.targets = {deliveries}
             relay.targets = {relays}",
            listen("starttls"),
            listen("implicit"),
        ));
        settings.merge(given);
        let file = self.folder.join("submission.toml");
        let config: submission::Config = settings.load(&file, submission::ENVIRONMENT_PREFIX);
        let host = Host::new();
        let running = host.start(|stop| submission::run(config, stop)).await;
        Submission {
            starttls: running.address(ListenTls::StartTls).unwrap(),
            implicit_tls: running.address(ListenTls::Implicit).unwrap(),
            hand_off: running.hand_off().clone(),
            part: host.keep(running.wait()),
        }
    }
}

/// A socket, by when TLS is spoken.
fn listen(tls: &str) -> String {
    let address = any_port();
    format!("{{ address = \"{address}\", tls = \"{tls}\", drain_deadline = \"2s\" }}")
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn targets(addresses: impl Iterator<Item = SocketAddr>) -> String {
    let quoted: Vec<String> = addresses.map(|address| format!("\"{address}\"")).collect();
    format!("[{}]", quoted.join(", "))
}
