//! The configuration of the relay: `deploy/config/relay.toml` has every key with its default.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use service::config::{
    DatabaseSection, GrpcClientSection, GrpcServerSection, ListenSection, LogConfig, Problem,
    TelemetrySection, TlsSection, Validate, duration, size,
};
use service::wiring;
use smtp::Domain;

use crate::outbound::route::{RouteRule, RouteTable};

/// Prefix of the environment variables: `CHASQUI_RELAY__LOG__LEVEL` is `log.level`.
pub const ENVIRONMENT_PREFIX: &str = "CHASQUI_RELAY";

/// Least number of Received fields that may count as a loop (RFC 5321 §6.3).
const LEAST_HOPS: usize = 100;
/// Fewest recipients that a server must take in one transaction (RFC 5321 §4.5.3.1.8).
const LEAST_RECIPIENTS: usize = 100;

/// What delivery and the queue are made for, in octets.
const LARGEST_MESSAGE: u64 = 128 << 20;

/// The configuration of the relay service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Our name in the DNS: for greetings, EHLO and trace fields, and as the MX that means
    /// ourselves (RFC 5321 §2.3.5).
    pub host_name: String,
    /// This machine's name in the journal and among the relays of the fleet. Default its host name.
    #[serde(default = "service::node::name")]
    pub node: String,
    /// The sockets for other servers: 25. None for a relay that only sends.
    #[serde(default)]
    pub listen: Vec<ListenSection>,
    /// The certificate that other servers are shown.
    pub tls: Option<TlsSection>,
    /// The database with the queue.
    #[serde(default)]
    pub database: DatabaseSection,
    /// The directory that knows local recipients: the delivery services.
    pub directory: GrpcClientSection,
    /// Who puts mail into local mailboxes: the delivery services.
    pub delivery: GrpcClientSection,
    /// Where producers hand mail off to us.
    pub grpc: GrpcServerSection,
    /// What is taken in.
    #[serde(default)]
    pub inbound: Inbound,
    /// How it is sent.
    #[serde(default)]
    pub outbound: Outbound,
    /// How domains are looked up.
    #[serde(default)]
    pub dns: Dns,
    /// Where mail for some domains goes instead of to their MX.
    #[serde(default)]
    pub route: Vec<RouteRule>,
    /// What is logged.
    #[serde(default)]
    pub log: LogConfig,
    /// What is told by metrics, probes and traces.
    #[serde(default)]
    pub telemetry: TelemetrySection,
}

/// `[inbound]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inbound {
    /// Clients that may send to any domain. Default none: for others than our own users we relay
    /// for nobody.
    pub relay_networks: Vec<IpNet>,
    /// Largest message, announced as SIZE (RFC 1870). Default 50MiB.
    #[serde(deserialize_with = "size")]
    pub message_size: u64,
    /// Most recipients in one transaction, at least 100 (RFC 5321 §4.5.3.1.8). Default 1000.
    pub recipients: usize,
    /// A message with more Received fields goes round and is refused with `554 5.4.6`, at least 100
    /// (RFC 5321 §6.3). Default 100.
    pub max_hops: usize,
    /// Memory for content that is being received or queued, in all. Default 256MiB.
    #[serde(deserialize_with = "size")]
    pub content_memory: u64,
    /// The part of it that one client address may hold. Default 64MiB.
    #[serde(deserialize_with = "size")]
    pub content_memory_per_client: u64,
}

/// `[outbound]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outbound {
    /// How long delivery is tried before the sender is told that it failed. RFC 5321 §4.5.4.1 asks
    /// for 4 to 5 days. Default 5d.
    #[serde(deserialize_with = "duration")]
    pub expire_after: Duration,
    /// Delay after a recipient's first transient refusal; it doubles each time, ± 20 %. Default 5m.
    #[serde(deserialize_with = "duration")]
    pub retry_first: Duration,
    /// Longest delay between attempts. Default 4h.
    #[serde(deserialize_with = "duration")]
    pub retry_longest: Duration,
    /// How long a destination rests after its first failure to give us a session; it doubles each
    /// time. Default 1m.
    #[serde(deserialize_with = "duration")]
    pub suspend_first: Duration,
    /// Longest rest of a destination. Default 1h.
    #[serde(deserialize_with = "duration")]
    pub suspend_longest: Duration,
    /// Delay after trouble of our own, such as a delivery service that is away, ± 50 %. Default
    /// 10s.
    #[serde(deserialize_with = "duration")]
    pub internal_retry: Duration,
    /// Connections to one next hop. Default 20.
    pub connections_per_destination: usize,
    /// Messages over one connection. Default 100.
    pub messages_per_connection: u32,
    /// How long a connection is kept without work. Default 2s.
    #[serde(deserialize_with = "duration")]
    pub idle: Duration,
    /// How long the TCP handshake may take. Default 30s.
    #[serde(deserialize_with = "duration")]
    pub connect_timeout: Duration,
    /// Calls to delivery under way at once. Default 64.
    pub local_deliveries: usize,
    /// Messages held in memory, besides those that were handed off. Default 2000.
    pub claimed: usize,
    /// Messages that producers may have handed off to us at a time. Default 4000.
    pub handed_off: u64,
    /// Memory for the content of these. Default 256MiB.
    #[serde(deserialize_with = "size")]
    pub handed_off_memory: u64,
    /// Memory for content that is read back from the queue. Default 256MiB.
    #[serde(deserialize_with = "size")]
    pub content_memory: u64,
    /// Middle of the time between polls of the queue; what is handed off doesn't wait for them.
    /// Default 1s.
    #[serde(deserialize_with = "duration")]
    pub poll: Duration,
    /// How long a shutdown waits for attempts under way. What isn't finished by then is given to
    /// another relay. Default 20s.
    #[serde(deserialize_with = "duration")]
    pub drain_deadline: Duration,
    /// Address to connect from. Default: the system's choice.
    pub source_address: Option<std::net::IpAddr>,
    /// Networks in which no MX may lie: whoever publishes such an MX would have us talk to
    /// ourselves. Smart hosts may lie anywhere. Default: loopback, unspecified, link-local and
    /// multicast.
    pub refused_networks: Vec<IpNet>,
    /// TCP port of MX hosts. Default 25.
    pub port: u16,
}

/// `[dns]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// Nameservers, as `address:port`. Default: those of the system.
    pub nameservers: Vec<SocketAddr>,
}

impl Default for Inbound {
    fn default() -> Self {
        Self {
            relay_networks: Vec::new(),
            message_size: 50 << 20,
            recipients: 1000,
            max_hops: LEAST_HOPS,
            content_memory: 256 << 20,
            content_memory_per_client: 64 << 20,
        }
    }
}

impl Default for Outbound {
    fn default() -> Self {
        Self {
            expire_after: Duration::from_hours(5 * 24),
            retry_first: Duration::from_mins(5),
            retry_longest: Duration::from_hours(4),
            suspend_first: Duration::from_mins(1),
            suspend_longest: Duration::from_hours(1),
            internal_retry: Duration::from_secs(10),
            connections_per_destination: 20,
            messages_per_connection: 100,
            idle: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(30),
            local_deliveries: 64,
            claimed: 2000,
            handed_off: 4000,
            handed_off_memory: 256 << 20,
            content_memory: 256 << 20,
            poll: Duration::from_secs(1),
            drain_deadline: Duration::from_secs(20),
            source_address: None,
            refused_networks: no_public_mail_host(),
            port: 25,
        }
    }
}

/// RFC 6890: where no public mail host can be.
fn no_public_mail_host() -> Vec<IpNet> {
    [
        "127.0.0.0/8",
        "0.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "::1/128",
        "::/128",
        "fe80::/10",
        "ff00::/8",
    ]
    .iter()
    .filter_map(|network| network.parse().ok())
    .collect()
}

impl Validate for Config {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !self.host_name.contains('.') || Domain::parse(&self.host_name).is_err() {
            let message = "must be this host's full name in the DNS, such as mx1.example.org";
            problems.push(Problem::new("host_name", message));
        }
        for (index, listen) in self.listen.iter().enumerate() {
            let found = listen.problems().into_iter();
            problems.extend(found.map(|problem| problem.within(&format!("listen[{index}]"))));
        }
        problems.extend(wiring::missing_certificate(&self.listen, self.tls.as_ref()));
        let sections: [(&str, Option<&dyn Validate>); 8] = [
            ("tls", self.tls.as_ref().map(|tls| tls as _)),
            ("database", Some(&self.database)),
            ("directory", Some(&self.directory)),
            ("delivery", Some(&self.delivery)),
            ("grpc", Some(&self.grpc)),
            ("inbound", Some(&self.inbound)),
            ("outbound", Some(&self.outbound)),
            ("telemetry", Some(&self.telemetry)),
        ];
        for (name, section) in sections {
            let found = section.map(Validate::problems).unwrap_or_default();
            problems.extend(found.into_iter().map(|problem| problem.within(name)));
        }
        problems.extend(
            self.log
                .problems()
                .into_iter()
                .map(|problem| problem.within("log")),
        );
        problems.extend(self.call_problems());
        problems.extend(self.route_problems());
        problems
    }
}

impl Config {
    fn call_problems(&self) -> Vec<Problem> {
        let called = [("directory", &self.directory), ("delivery", &self.delivery)];
        let called = called.into_iter().filter_map(|(name, section)| {
            Some(wiring::channel(section, Duration::ZERO).err()?.within(name))
        });
        let own = wiring::grpc_problems(&self.grpc)
            .into_iter()
            .map(|problem| problem.within("grpc"));
        called.chain(own).collect()
    }

    fn route_problems(&self) -> Vec<Problem> {
        let problems = RouteTable::new(&self.route).err().unwrap_or_default();
        problems
            .into_iter()
            .map(|message| Problem::new("route", message))
            .collect()
    }
}

/// Collects what doesn't hold.
struct Demands(Vec<Problem>);

impl Demands {
    fn demand(&mut self, holds: bool, key: &str, message: &str) {
        if !holds {
            self.0.push(Problem::new(key, message));
        }
    }
}

impl Validate for Inbound {
    fn problems(&self) -> Vec<Problem> {
        let mut demands = Demands(Vec::new());
        let enough = self.recipients >= LEAST_RECIPIENTS;
        demands.demand(
            enough,
            "recipients",
            "must be at least 100 (RFC 5321 §4.5.3.1.8)",
        );
        demands.demand(
            self.max_hops >= LEAST_HOPS,
            "max_hops",
            "must be at least 100 (RFC 5321 §6.3)",
        );
        demands.demand(
            self.message_size >= 64 << 10,
            "message_size",
            "must be at least 64KiB (RFC 5321 §4.5.3.1.7)",
        );
        demands.demand(
            self.message_size <= LARGEST_MESSAGE,
            "message_size",
            "must be at most 128MiB: what is larger could be announced, but not delivered",
        );
        demands.demand(
            self.content_memory_per_client > self.message_size,
            "content_memory_per_client",
            "must be more than message_size, or the largest messages could not be received",
        );
        demands.demand(
            self.content_memory >= self.content_memory_per_client,
            "content_memory",
            "must be at least content_memory_per_client",
        );
        demands.0
    }
}

impl Validate for Outbound {
    fn problems(&self) -> Vec<Problem> {
        let mut demands = Demands(Vec::new());
        for (key, duration) in [
            ("expire_after", self.expire_after),
            ("retry_first", self.retry_first),
            ("suspend_first", self.suspend_first),
            ("internal_retry", self.internal_retry),
            ("connect_timeout", self.connect_timeout),
            ("poll", self.poll),
        ] {
            demands.demand(!duration.is_zero(), key, "must be longer than 0s");
        }
        for (key, number) in [
            (
                "connections_per_destination",
                self.connections_per_destination,
            ),
            (
                "messages_per_connection",
                self.messages_per_connection as usize,
            ),
            ("local_deliveries", self.local_deliveries),
            ("claimed", self.claimed),
            ("port", usize::from(self.port)),
        ] {
            demands.demand(number > 0, key, "must be at least 1");
        }
        let longest = "must not be shorter than the first";
        demands.demand(
            self.retry_longest >= self.retry_first,
            "retry_longest",
            longest,
        );
        demands.demand(
            self.suspend_longest >= self.suspend_first,
            "suspend_longest",
            longest,
        );
        demands.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use service::config::{ConfigError, load_with};

    use super::*;

    const EXAMPLE: &str = include_str!("../../../deploy/config/relay.toml");

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        // The certificate of the example isn't on this machine.
        for name in ["certificate.pem", "key.pem"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let here = folder.path().display().to_string();
        let text = text.replace("/etc/chasqui/tls", &here);
        let file = folder.path().join("relay.toml");
        std::fs::write(&file, text).unwrap();
        load_file(&file)
    }

    fn load_file(file: &Path) -> Result<Config, ConfigError> {
        let database = "postgres://chasqui@localhost/chasqui".to_owned();
        load_with(
            Some(file),
            ENVIRONMENT_PREFIX,
            [("DATABASE_URL".to_owned(), database)],
        )
    }

    /// The example with its commented-out defaults taken in: `# key = value` outside of the
    /// sections that are commented out as a whole.
    fn with_defaults_spelt_out(section: &str) -> String {
        let (before, rest) = EXAMPLE.split_once(&format!("[{section}]\n")).unwrap();
        let (body, after) = rest.split_once("\n\n").unwrap_or((rest, ""));
        let body: String = body
            .lines()
            .map(|line| line.strip_prefix("# ").unwrap_or(line).to_owned() + "\n")
            .collect();
        format!("{before}[{section}]\n{body}\n{after}")
    }

    #[test]
    fn the_example_loads() {
        let config = load(EXAMPLE).unwrap();
        assert_eq!(config.host_name, "mx1.example.org");
        assert!(
            config.inbound.relay_networks.is_empty(),
            "no open relay by default"
        );
    }

    #[test]
    fn the_examples_commented_values_are_the_defaults() {
        let inbound = load(&with_defaults_spelt_out("inbound")).unwrap().inbound;
        assert_eq!(format!("{inbound:?}"), format!("{:?}", Inbound::default()));
        let text =
            with_defaults_spelt_out("outbound").replace("source_address", "# source_address");
        let outbound = load(&text).unwrap().outbound;
        assert_eq!(
            format!("{outbound:?}"),
            format!("{:?}", Outbound::default())
        );
    }

    #[test]
    fn a_misspelt_key_is_refused_by_name() {
        let error =
            load(&EXAMPLE.replace("[inbound]", "[inbound]\nrelay_network = []")).unwrap_err();
        assert!(
            error.to_string().contains("inbound.relay_network"),
            "{error}"
        );
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let text = EXAMPLE
            .replace("mx1.example.org", "mx1")
            .replace("[inbound]", "[inbound]\nrecipients = 5\nmax_hops = 10")
            .replace("127.0.0.1:2630", "192.0.2.1:2630");
        let error = load(&text).unwrap_err().to_string();
        for key in [
            "host_name",
            "inbound.recipients",
            "inbound.max_hops",
            "grpc.",
        ] {
            assert!(error.contains(key), "{key} is missing in: {error}");
        }
    }
}
