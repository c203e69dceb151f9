//! What a fleet of Chasqui is made of, and the configuration files of its services.

use std::net::SocketAddr;
use std::path::Path;

/// Where mail for other domains goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Onward {
    /// To this host.
    To(SocketAddr),
    /// To this host, where nobody listens: it stays in the queue, untried.
    Away(SocketAddr),
}

/// What a fleet is made of.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// How many relays.
    pub(crate) relays: usize,
    /// Where mail for other domains goes.
    pub(crate) onward: Onward,
    /// Further routes, as tables of TOML.
    pub(crate) routes: String,
    /// Further lines of each relay's `[outbound]`.
    pub(crate) outbound: String,
}

impl Plan {
    /// One of each service.
    pub(crate) fn new(onward: Onward) -> Self {
        Self {
            relays: 1,
            onward,
            routes: String::new(),
            outbound: String::new(),
        }
    }
}

/// Where the services of a fleet are, and what they share.
pub(crate) struct Wiring<'a> {
    pub(crate) database_url: &'a str,
    pub(crate) folder: &'a Path,
    pub(crate) delivery: SocketAddr,
    pub(crate) relay_grpc: Vec<SocketAddr>,
}

impl Wiring<'_> {
    pub(crate) fn delivery(&self) -> String {
        format!(
            "host_name = \"delivery.home.test\"\n\
             database.url = \"{}\"\n\
             maildir.root = \"{}\"\n\
             grpc.bind = \"{}\"\n",
            self.database_url,
            self.folder.join("mail").display(),
            self.delivery,
        )
    }

    pub(crate) fn relay(&self, plan: &Plan, index: usize, smtp: SocketAddr) -> String {
        let onward = match plan.onward {
            Onward::To(host) | Onward::Away(host) => format!("smart_host = \"{host}\""),
        };
        let rest = match plan.onward {
            Onward::To(_) => "",
            // Once the first message found nobody, nothing is tried before the measurement is over.
            Onward::Away(_) => "suspend_first = \"2h\"\nsuspend_longest = \"4h\"\n",
        };
        format!(
            "host_name = \"mx{number}.home.test\"\n\
             listen = [{{ address = \"{smtp}\", tls = \"none\", max_connections_per_address = 20000, max_connections = 20000 }}]\n\
             database.url = \"{url}\"\n\
             directory.targets = [\"{delivery}\"]\n\
             delivery.targets = [\"{delivery}\"]\n\
             grpc.bind = \"{grpc}\"\n\
             inbound.relay_networks = [\"127.0.0.0/8\"]\n\
             {tls}\
             [outbound]\n{rest}{outbound}\n\
             [[route]]\ndomain = \"*\"\n{onward}\n{routes}",
            number = index + 1,
            url = self.database_url,
            delivery = self.delivery,
            grpc = self.relay_grpc[index],
            tls = self.tls(),
            outbound = plan.outbound,
            routes = plan.routes,
        )
    }

    pub(crate) fn submission(&self, smtp: SocketAddr, grpc: SocketAddr) -> String {
        let relays: Vec<String> = self
            .relay_grpc
            .iter()
            .map(|relay| format!("\"{relay}\""))
            .collect();
        format!(
            "host_name = \"mail.home.test\"\n\
             listen = [{{ address = \"{smtp}\", tls = \"starttls\", max_connections_per_address = 20000, max_connections = 20000 }}]\n\
             database.url = \"{url}\"\n\
             directory.targets = [\"{delivery}\"]\n\
             relay.targets = [{relays}]\n\
             grpc.bind = \"{grpc}\"\n\
             limits.messages_per_hour = 4000000000\n\
             {tls}",
            url = self.database_url,
            delivery = self.delivery,
            relays = relays.join(", "),
            tls = self.tls(),
        )
    }

    fn tls(&self) -> String {
        let path = |name: &str| self.folder.join(name).display().to_string();
        format!(
            "tls.certificate = \"{}\"\ntls.key = \"{}\"\n",
            path("certificate.pem"),
            path("key.pem"),
        )
    }
}
