//! Setting up the services: each from a configuration file of its own.

use std::net::SocketAddr;
use std::path::Path;

use ::queue::Tenant;
use directory::{DatabaseConfig, Directory};
use service::config::ListenTls;
use smtp::{Domain, Mailbox};
use testkit::TestDatabase;

use super::part::{Host, Part};
use super::settings::{Settings, quoted};
use super::{DOMAIN, PASSWORD};

/// Where services are set up.
pub(super) struct Site<'a> {
    pub(super) database: &'a TestDatabase,
    pub(super) folder: &'a Path,
}

pub(super) struct Delivery {
    pub(super) part: Part,
    pub(super) grpc: SocketAddr,
    pub(super) lmtp: SocketAddr,
}

pub(super) struct Relay {
    pub(super) part: Part,
    pub(super) smtp: SocketAddr,
    pub(super) grpc: SocketAddr,
    pub(super) reloader: relay::Reloader,
}

pub(super) struct Submission {
    pub(super) part: Part,
    pub(super) starttls: SocketAddr,
    pub(super) implicit_tls: SocketAddr,
    pub(super) hand_off: rpc::hand_off::HandOff,
}

impl Site<'_> {
    pub(super) async fn directory(&self, accounts: &[String]) -> (Directory, Tenant) {
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

    pub(super) async fn start_delivery(&self, grpc: SocketAddr) -> Delivery {
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

    pub(super) fn relay_settings(
        &self,
        number: usize,
        grpc: SocketAddr,
        given: &Settings,
        deliveries: &str,
    ) -> Settings {
        let mut settings = self.smtp_settings(&format!("mx{}.fleet.test", number + 1));
        settings.set(&format!(
            "grpc.bind = \"{grpc}\"
             directory.targets = {deliveries}
             delivery.targets = {deliveries}"
        ));
        settings.merge(given);
        settings
    }

    pub(super) async fn start_relay(&self, settings: &Settings) -> Relay {
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

    pub(super) async fn start_submission(
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

pub(super) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(super) fn targets(addresses: impl Iterator<Item = SocketAddr>) -> String {
    let quoted: Vec<String> = addresses.map(|address| format!("\"{address}\"")).collect();
    format!("[{}]", quoted.join(", "))
}
