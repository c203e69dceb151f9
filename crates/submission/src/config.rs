//! The configuration of submission: `deploy/config/submission.toml` has every key with its default.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;
use service::config::{
    DatabaseSection, GrpcClientSection, GrpcServerSection, ListenSection, ListenTls, LogConfig,
    Problem, TelemetrySection, TlsSection, Validate, duration, size,
};
use service::wiring::grpc_problems;
use smtp::Domain;

use crate::wiring;

/// Prefix of the environment variables: `CHASQUI_SUBMISSION__LOG__LEVEL` is `log.level`.
pub const ENVIRONMENT_PREFIX: &str = "CHASQUI_SUBMISSION";

/// Fewest recipients that a server must take in one transaction (RFC 5321 §4.5.3.1.8).
const LEAST_RECIPIENTS: usize = 100;

/// What delivery and the queue are made for, in octets.
const LARGEST_MESSAGE: u64 = 128 << 20;

/// The configuration of the submission service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Our name in the DNS: for greetings, trace fields and Message-IDs (RFC 5321 §4.2, §4.4).
    pub host_name: String,
    /// The sockets for mail clients: 587 with STARTTLS (RFC 6409), 465 with implicit TLS
    /// (RFC 8314).
    pub listen: Vec<ListenSection>,
    /// The certificate that mail clients are shown.
    pub tls: TlsSection,
    /// The database with the queue.
    #[serde(default)]
    pub database: DatabaseSection,
    /// The directory that knows accounts and their passwords: the delivery services.
    pub directory: GrpcClientSection,
    /// The relays that take mail over the fast path. Without it they find it in the queue.
    pub relay: Option<GrpcClientSection>,
    /// Where `grpc.health.v1` answers. Not served when missing.
    pub grpc: Option<GrpcServerSection>,
    /// How long, how large, how many.
    #[serde(default)]
    pub limits: Limits,
    /// What is logged.
    #[serde(default)]
    pub log: LogConfig,
    /// What is told by metrics, probes and traces.
    #[serde(default)]
    pub telemetry: TelemetrySection,
}

/// `[limits]`: each process counts for itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest message, announced as SIZE (RFC 1870). Default 50MiB.
    #[serde(deserialize_with = "size")]
    pub message_size: u64,
    /// Most recipients in one transaction, at least 100 (RFC 5321 §4.5.3.1.8). Default 500.
    pub recipients: usize,
    /// Messages that one account may send within an hour. Default 500.
    pub messages_per_hour: NonZeroU32,
    /// Wrong passwords that end a session. Default 3.
    pub failed_logins_per_session: NonZeroU32,
    /// Wrong passwords from one address (an IPv6 network of 64 bits counts as one) within
    /// `failed_logins_window`, whatever the accounts; then it waits. Default 20.
    pub failed_logins_per_address: NonZeroU32,
    /// Default 15m.
    #[serde(deserialize_with = "duration")]
    pub failed_logins_window: Duration,
    /// Memory for content that is being received or queued, in all. Default 256MiB.
    #[serde(deserialize_with = "size")]
    pub content_memory: u64,
    /// The part of it that one client address may hold. Default 64MiB.
    #[serde(deserialize_with = "size")]
    pub content_memory_per_client: u64,
    /// How long delivery is tried before the sender is told that it failed. RFC 5321 §4.5.4.1
    /// asks for 4 to 5 days. Default 5d.
    #[serde(deserialize_with = "duration")]
    pub expire_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_size: 50 << 20,
            recipients: 500,
            messages_per_hour: at_least_one(500),
            failed_logins_per_session: at_least_one(3),
            failed_logins_per_address: at_least_one(20),
            failed_logins_window: Duration::from_mins(15),
            content_memory: 256 << 20,
            content_memory_per_client: 64 << 20,
            expire_after: Duration::from_hours(5 * 24),
        }
    }
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

impl Validate for Config {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if Domain::parse(&self.host_name).is_err() {
            let message = "must be this host's name in the DNS, such as mail.example.org";
            problems.push(Problem::new("host_name", message));
        }
        if self.listen.is_empty() {
            let message = "must have at least one socket: add [[listen]]";
            problems.push(Problem::new("listen", message));
        }
        for (index, listen) in self.listen.iter().enumerate() {
            let found = listen_problems(listen).into_iter();
            problems.extend(found.map(|problem| problem.within(&format!("listen[{index}]"))));
        }
        let sections: [(&str, Option<&dyn Validate>); 8] = [
            ("tls", Some(&self.tls)),
            ("database", Some(&self.database)),
            ("directory", Some(&self.directory)),
            ("relay", self.relay.as_ref().map(|relay| relay as _)),
            ("grpc", self.grpc.as_ref().map(|grpc| grpc as _)),
            ("limits", Some(&self.limits)),
            ("log", Some(&self.log)),
            ("telemetry", Some(&self.telemetry)),
        ];
        for (name, section) in sections {
            let found = section.map(Validate::problems).unwrap_or_default();
            problems.extend(found.into_iter().map(|problem| problem.within(name)));
        }
        problems.extend(wiring::directory(self).err());
        problems.extend(wiring::relay(self).err());
        let grpc = self.grpc.as_ref().map(grpc_problems).unwrap_or_default();
        problems.extend(grpc.into_iter().map(|problem| problem.within("grpc")));
        problems
    }
}

fn listen_problems(listen: &ListenSection) -> Vec<Problem> {
    let mut problems = listen.problems();
    if listen.tls == ListenTls::None {
        // RFC 8314 §3.3: passwords do not cross the network in clear, so nobody could log in.
        let message = "must be starttls or implicit: without TLS nobody can log in";
        problems.push(Problem::new("tls", message));
    }
    problems
}

impl Validate for Limits {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut demand = |holds: bool, key: &str, message: &str| {
            if !holds {
                problems.push(Problem::new(key, message));
            }
        };
        demand(
            self.recipients >= LEAST_RECIPIENTS,
            "recipients",
            "must be at least 100 (RFC 5321 §4.5.3.1.8)",
        );
        demand(
            self.message_size >= 64 << 10,
            "message_size",
            "must be at least 64KiB (RFC 5321 §4.5.3.1.7)",
        );
        demand(
            self.message_size <= LARGEST_MESSAGE,
            "message_size",
            "must be at most 128MiB: what is larger could be announced, but not delivered",
        );
        demand(
            self.content_memory_per_client > self.message_size,
            "content_memory_per_client",
            "must be more than message_size, or the largest messages could not be received",
        );
        demand(
            self.content_memory >= self.content_memory_per_client,
            "content_memory",
            "must be at least content_memory_per_client",
        );
        demand(
            !self.failed_logins_window.is_zero(),
            "failed_logins_window",
            "must be longer than 0s",
        );
        demand(
            !self.expire_after.is_zero(),
            "expire_after",
            "must be longer than 0s",
        );
        problems
    }
}
