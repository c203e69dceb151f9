//! A fleet in this process: submission, relays and deliveries with real sockets, real TLS and a real Postgres, each
//! configured by a file as in production.

mod builder;
mod log;
mod mailbox;
mod part;
mod queue;
mod sending;
mod settings;
mod site;

use std::net::SocketAddr;
use std::path::PathBuf;

use ::queue::Tenant;
use directory::Directory;
use tempfile::TempDir;
use testkit::{DnsServer, TestCertificate, TestDatabase};

pub(crate) use builder::Builder;
pub(crate) use mailbox::Mail;
pub(crate) use sending::{begin_data, end_data, letter, submit_over};

pub(crate) use queue::number;
pub(crate) use settings::{Settings, quoted};
use site::{Delivery, Relay, Site, Submission, any_port, targets};

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
        for number in 0..plan.relays {
            let own = site.relay_settings(number, any_port(), &plan.relay, &delivery_targets);
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

    /// Starts a relay again; producers find it where it was, other servers do not.
    pub(crate) async fn restart_relay(&mut self, number: usize) {
        let settings = self.relay_settings(number);
        self.relays[number] = self.site().start_relay(&settings).await;
    }

    /// Ends a relay without any order.
    pub(crate) fn kill_relay(&mut self, number: usize) {
        self.relays[number].part.kill();
    }

    /// Changes the first relay's configuration and has it read again, as SIGHUP does.
    pub(crate) fn reload_relay(&mut self, line: &str) {
        self.plan.relay.set(line);
        let config = self.relay_settings(0).load(
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

    fn relay_settings(&self, number: usize) -> Settings {
        let deliveries = targets(self.deliveries.iter().map(|delivery| delivery.grpc));
        let grpc = self.relays[number].grpc;
        let site = self.site();
        site.relay_settings(number, grpc, &self.plan.relay, &deliveries)
    }

    fn site(&self) -> Site<'_> {
        Site {
            database: &self.database,
            folder: self.folder.path(),
        }
    }
}
