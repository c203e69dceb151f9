//! The configuration of delivery: `deploy/config/delivery.toml` has every key with its default.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net};
use serde::Deserialize;
use service::config::{
    DatabaseSection, GrpcServerSection, ListenSection, LogConfig, Problem, TelemetrySection,
    TlsSection, Validate, size,
};
use service::wiring;
use smtp::Domain;

/// Prefix of the environment variables: `CHASQUI_DELIVERY__LOG__LEVEL` is `log.level`.
pub const ENVIRONMENT_PREFIX: &str = "CHASQUI_DELIVERY";

/// Fewest recipients that a server must take in one transaction (RFC 5321 §4.5.3.1.8).
const LEAST_RECIPIENTS: usize = 100;
/// Smallest limit on messages that makes sense (RFC 5321 §4.5.3.1.7).
const LEAST_MESSAGE_SIZE: u64 = 64 << 10;
/// More threads than that only take turns.
const MOST_WRITERS: usize = 64;

/// The configuration of the delivery service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Our name in the DNS: for LMTP's greeting and the trace fields of mail that comes by LMTP.
    pub host_name: String,
    /// The database with the directory.
    #[serde(default)]
    pub database: DatabaseSection,
    /// Where mail is kept.
    pub maildir: MaildirSection,
    /// Where the directory is asked, and messages are delivered to.
    pub grpc: GrpcServerSection,
    /// How much is taken in by gRPC.
    #[serde(default)]
    pub limits: Limits,
    /// The sockets for LMTP (RFC 2033). None by default.
    #[serde(default)]
    pub listen: Vec<ListenSection>,
    /// The certificate for LMTP clients, where a socket speaks TLS.
    pub tls: Option<TlsSection>,
    /// Who may deliver by LMTP, and how much.
    #[serde(default)]
    pub lmtp: LmtpSection,
    /// What is logged.
    #[serde(default)]
    pub log: LogConfig,
    /// What is told by metrics, probes and traces.
    #[serde(default)]
    pub telemetry: TelemetrySection,
}

/// `[maildir]`: where mail is kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaildirSection {
    /// The folder of all mailboxes: `<root>/<domain>/<local-part>/{tmp,new,cur}`. Made if it is
    /// not there. Several delivery services may share it.
    pub root: PathBuf,
    /// Threads that write mail. Deliveries that wait for one share its syncs. Default 2.
    #[serde(default = "default_writers")]
    pub writers: usize,
}

fn default_writers() -> usize {
    2
}

/// `[limits]`: for messages that relays hand over. They hold them in the queue until we take them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest message; no less than what any relay or submission service accepts. Default 128MiB.
    #[serde(deserialize_with = "size")]
    pub message_size: u64,
    /// Memory for the content of all deliveries under way. Default 256MiB.
    #[serde(deserialize_with = "size")]
    pub content_memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_size: 128 << 20,
            content_memory: 256 << 20,
        }
    }
}

/// `[lmtp]`: who may deliver by LMTP, and how much.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LmtpSection {
    /// Networks whose hosts may deliver; nobody has to log in. Default: this host.
    pub trusted_networks: Vec<IpNet>,
    /// Largest message, announced as SIZE (RFC 1870). Default 50MiB.
    #[serde(deserialize_with = "size")]
    pub message_size: u64,
    /// Most recipients in one transaction, at least 100 (RFC 5321 §4.5.3.1.8). Default 1000.
    pub recipients: usize,
    /// Memory for content that comes in by LMTP, in all. Default 128MiB.
    #[serde(deserialize_with = "size")]
    pub content_memory: u64,
}

impl Default for LmtpSection {
    fn default() -> Self {
        Self {
            trusted_networks: loopback(),
            message_size: 50 << 20,
            recipients: 1_000,
            content_memory: 128 << 20,
        }
    }
}

/// 127.0.0.0/8 (RFC 1122 §3.2.1.3) and ::1.
fn loopback() -> Vec<IpNet> {
    let v4 = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
    vec![v4.into(), IpAddr::from(Ipv6Addr::LOCALHOST).into()]
}

impl Validate for Config {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if Domain::parse(&self.host_name).is_err() {
            let message = "must be this host's name in the DNS, such as mail.example.org";
            problems.push(Problem::new("host_name", message));
        }
        for (index, listen) in self.listen.iter().enumerate() {
            let found = listen.problems().into_iter();
            problems.extend(found.map(|problem| problem.within(&format!("listen[{index}]"))));
        }
        problems.extend(wiring::missing_certificate(&self.listen, self.tls.as_ref()));
        let sections: [(&str, Vec<Problem>); 9] = [
            ("database", self.database.problems()),
            ("maildir", self.maildir.problems()),
            ("grpc", self.grpc.problems()),
            ("grpc", wiring::grpc_problems(&self.grpc)),
            ("limits", self.limits.problems()),
            (
                "tls",
                self.tls
                    .as_ref()
                    .map(Validate::problems)
                    .unwrap_or_default(),
            ),
            ("lmtp", self.lmtp.problems()),
            ("log", self.log.problems()),
            ("telemetry", self.telemetry.problems()),
        ];
        for (name, found) in sections {
            problems.extend(found.into_iter().map(|problem| problem.within(name)));
        }
        problems
    }
}

impl Validate for MaildirSection {
    fn problems(&self) -> Vec<Problem> {
        let mut demands = Demands::default();
        demands.that(
            !self.root.as_os_str().is_empty(),
            "root",
            "must name a folder, such as /var/lib/chasqui/mail",
        );
        demands.that(
            (1..=MOST_WRITERS).contains(&self.writers),
            "writers",
            "must be 1 to 64",
        );
        demands.unmet
    }
}

impl Validate for Limits {
    fn problems(&self) -> Vec<Problem> {
        let mut demands = Demands::default();
        demands.that(
            self.message_size >= LEAST_MESSAGE_SIZE,
            "message_size",
            "must be at least 64KiB (RFC 5321 §4.5.3.1.7)",
        );
        demands.that(
            self.content_memory >= self.message_size,
            "content_memory",
            "must be at least message_size, or the largest messages could not be delivered",
        );
        demands.unmet
    }
}

impl Validate for LmtpSection {
    fn problems(&self) -> Vec<Problem> {
        let mut demands = Demands::default();
        demands.that(
            self.message_size >= LEAST_MESSAGE_SIZE,
            "message_size",
            "must be at least 64KiB (RFC 5321 §4.5.3.1.7)",
        );
        demands.that(
            self.recipients >= LEAST_RECIPIENTS,
            "recipients",
            "must be at least 100 (RFC 5321 §4.5.3.1.8)",
        );
        demands.that(
            self.content_memory > self.message_size,
            "content_memory",
            "must be more than message_size, or the largest messages could not be received",
        );
        demands.unmet
    }
}

/// What a section demands of its values, and does not get.
#[derive(Default)]
struct Demands {
    unmet: Vec<Problem>,
}

impl Demands {
    fn that(&mut self, holds: bool, key: &str, message: &str) {
        if !holds {
            self.unmet.push(Problem::new(key, message));
        }
    }
}
