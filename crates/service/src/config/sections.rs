//! Sections that the services have in common.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Validate;
use super::error::Problem;
use super::units::{duration, optional_secret};
use crate::log;

/// `[log]`: what is logged, to standard error.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `text` (default): one line an event, `key=value`. `json`: one object a line.
    pub format: LogFormat,
    /// The least level shown: `error`, `warn`, `info` (default), `debug` or `trace`; after commas,
    /// other levels for parts: `info,relay=debug`.
    pub level: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `2026-11-23T10:00:00.000000Z  INFO message: delivered queue_id=… reply="250 …"`
    #[default]
    Text,
    /// The same as an object.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
        }
    }
}

impl Validate for LogConfig {
    fn problems(&self) -> Vec<Problem> {
        let invalid = log::filter(&self.level).err();
        let problem = |error: log::LogError| Problem::new("level", crate::one_line(&error));
        invalid.map(problem).into_iter().collect()
    }
}

/// `[database]`: the Postgres that holds queue and directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseSection {
    /// `postgres://user:password@host:port/database`. Mostly given as `DATABASE_URL`.
    #[serde(deserialize_with = "optional_secret")]
    pub url: Option<SecretString>,
    /// Connections for everything that isn't batched. Default 8.
    pub max_connections: u32,
    /// Longest wait for one of them. Default 5s.
    #[serde(deserialize_with = "duration")]
    pub acquire_timeout: Duration,
    /// Whether the way leads through a pooler that gives each transaction another session, such as
    /// PgBouncer in transaction mode. The service doesn't migrate then: `chasqui migrate` does, over
    /// a direct way. Default false.
    pub transaction_pooler: bool,
}

impl DatabaseSection {
    /// The URL in the clear; empty when none is configured, which validation refuses.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_ref().map_or("", ExposeSecret::expose_secret)
    }
}

impl Default for DatabaseSection {
    fn default() -> Self {
        Self {
            url: None,
            max_connections: 8,
            acquire_timeout: Duration::from_secs(5),
            transaction_pooler: false,
        }
    }
}

impl Validate for DatabaseSection {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let is_postgres = ["postgres://", "postgresql://"]
            .into_iter()
            .any(|scheme| self.url().starts_with(scheme));
        if self.url.is_none() {
            let message = "is missing: set it, or DATABASE_URL in the environment";
            problems.push(Problem::new("url", message));
        } else if !is_postgres {
            let message = "must be postgres://user:password@host:port/database";
            problems.push(Problem::new("url", message));
        }
        if self.max_connections == 0 {
            problems.push(Problem::new("max_connections", "must be at least 1"));
        }
        if self.acquire_timeout.is_zero() {
            problems.push(Problem::new("acquire_timeout", "must be longer than 0s"));
        }
        problems
    }
}

/// `[[listen]]`: an SMTP or LMTP socket.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenSection {
    /// Address and port, such as `0.0.0.0:587`; `[::]:25` takes IPv4 too.
    pub address: SocketAddr,
    /// When TLS is spoken. Default `starttls`.
    #[serde(default)]
    pub tls: ListenTls,
    /// Most connections in all. Default 10,000.
    #[serde(default = "default_max_connections")]
    pub max_connections: usize,
    /// Most connections from one address (an IPv6 network of 64 bits counts as one). Default 100.
    #[serde(default = "default_max_connections_per_address")]
    pub max_connections_per_address: usize,
    /// How long a shutdown waits for sessions to come to an end of a command. Default 30s.
    #[serde(default = "default_drain_deadline", deserialize_with = "duration")]
    pub drain_deadline: Duration,
    /// Balancers, such as `10.0.0.0/8`: connections from there begin with a PROXY header, from
    /// anywhere else they must not. Default none.
    #[serde(default)]
    pub proxy_networks: Vec<IpNet>,
}

/// When TLS is spoken on a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListenTls {
    /// Never.
    None,
    /// After the command STARTTLS (RFC 3207).
    #[default]
    StartTls,
    /// From the first byte (RFC 8314 §3.3).
    Implicit,
}

impl ListenSection {
    /// A socket with the defaults.
    #[must_use]
    pub fn new(address: SocketAddr, tls: ListenTls) -> Self {
        Self {
            address,
            tls,
            max_connections: default_max_connections(),
            max_connections_per_address: default_max_connections_per_address(),
            drain_deadline: default_drain_deadline(),
            proxy_networks: Vec::new(),
        }
    }
}

fn default_max_connections() -> usize {
    10_000
}

fn default_max_connections_per_address() -> usize {
    100
}

fn default_drain_deadline() -> Duration {
    Duration::from_secs(30)
}

impl Validate for ListenSection {
    fn problems(&self) -> Vec<Problem> {
        [
            ("max_connections", self.max_connections),
            (
                "max_connections_per_address",
                self.max_connections_per_address,
            ),
        ]
        .into_iter()
        .filter(|(_, limit)| *limit == 0)
        .map(|(key, _)| Problem::new(key, "must be at least 1"))
        .collect()
    }
}

/// `[tls]`: the certificate that clients are shown. The files may change while the service runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// The certificate, followed by its intermediates, in PEM.
    pub certificate: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
}

impl Validate for TlsSection {
    fn problems(&self) -> Vec<Problem> {
        let files = [("certificate", &self.certificate), ("key", &self.key)];
        unreadable(files.map(|(key, path)| (key, Some(path))))
    }
}

/// `[grpc]`: where this service answers calls, and from whom.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcServerSection {
    /// Address and port. Off loopback, `tls.client_authority` or `token` is demanded.
    pub bind: SocketAddr,
    /// TLS; without it, plain text.
    pub tls: Option<GrpcServerTls>,
    /// What callers must show: 32 characters or more that nobody can guess.
    #[serde(default, deserialize_with = "optional_secret")]
    pub token: Option<SecretString>,
}

/// `[grpc.tls]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcServerTls {
    /// The certificate, followed by its intermediates, in PEM.
    pub certificate: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
    /// The authorities that vouch for callers, in PEM. With it, every caller must have a certificate.
    pub client_authority: Option<PathBuf>,
}

impl Validate for GrpcServerSection {
    fn problems(&self) -> Vec<Problem> {
        let Some(tls) = &self.tls else {
            return Vec::new();
        };
        unreadable([
            ("tls.certificate", Some(&tls.certificate)),
            ("tls.key", Some(&tls.key)),
            ("tls.client_authority", tls.client_authority.as_ref()),
        ])
    }
}

/// `[directory]`, `[delivery]`, `[relay]`: another service, and how to call it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcClientSection {
    /// `host:port` of its instances. Every address of each name is used, and names are looked up
    /// again every few seconds.
    pub targets: Vec<String>,
    /// TLS; without it, plain text.
    pub tls: Option<GrpcClientTls>,
    /// The token that the service demands.
    #[serde(default, deserialize_with = "optional_secret")]
    pub token: Option<SecretString>,
    /// Longest that a call may take, retries included. Each service has its default.
    #[serde(default, deserialize_with = "optional_duration")]
    pub deadline: Option<Duration>,
}

/// `[….tls]` of a service that is called.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcClientTls {
    /// The authorities that the service's certificate is checked against, in PEM.
    pub authority: PathBuf,
    /// Our own certificate in PEM, for a service that demands one.
    pub certificate: Option<PathBuf>,
    /// Its key in PEM.
    pub key: Option<PathBuf>,
    /// The name in the service's certificate. Default: the host of the target.
    pub server_name: Option<String>,
}

impl Validate for GrpcClientSection {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.targets.is_empty() {
            problems.push(Problem::new("targets", "must name at least one host:port"));
        }
        if let Some(tls) = &self.tls {
            problems.extend(unreadable([
                ("tls.authority", Some(&tls.authority)),
                ("tls.certificate", tls.certificate.as_ref()),
                ("tls.key", tls.key.as_ref()),
            ]));
            if tls.certificate.is_some() != tls.key.is_some() {
                let message = "certificate and key go together: give both or neither";
                problems.push(Problem::new("tls.certificate", message));
            }
        }
        problems
    }
}

fn optional_duration<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

/// A problem for each file that can't be opened.
fn unreadable<const N: usize>(files: [(&str, Option<&PathBuf>); N]) -> Vec<Problem> {
    let problem = |key: &str, path: &Path| {
        let error = std::fs::File::open(path).err()?;
        let message = format!("can't read {}: {error}", path.display());
        Some(Problem::new(key, message))
    };
    files
        .into_iter()
        .filter_map(|(key, path)| problem(key, path?))
        .collect()
}

/// `[telemetry]`: what a process tells about itself while it runs. Nothing by default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySection {
    /// Where plain HTTP answers: `/metrics` in Prometheus' text format, `/live` and `/ready` for
    /// probes. Nowhere by default. For the inside of a network only: whoever asks is answered.
    pub listen: Option<SocketAddr>,
    /// The collector that metrics and traces go to by OTLP over gRPC, such as
    /// `http://collector:4317`. None by default.
    pub otlp: Option<String>,
    /// The authorities that the certificate of a collector by `https://` is checked against, in
    /// PEM. Those of the system by default.
    pub otlp_authority: Option<PathBuf>,
    /// The share of messages that are traced, 0 to 1. Default 0.01.
    pub sample: f64,
    /// Whether logs and traces show a hash in place of the local part of each mail address.
    /// Default false.
    pub hash_addresses: bool,
}

impl TelemetrySection {
    /// Whether anybody listens to what is told.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.listen.is_some() || self.otlp.is_some()
    }
}

impl Default for TelemetrySection {
    fn default() -> Self {
        Self {
            listen: None,
            otlp: None,
            otlp_authority: None,
            sample: 0.01,
            hash_addresses: false,
        }
    }
}

impl Validate for TelemetrySection {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if !self.otlp.as_ref().is_none_or(is_url) {
            let message = "must be a URL, such as http://collector:4317";
            problems.push(Problem::new("otlp", message));
        }
        let by_tls = |url: &String| url.starts_with("https://");
        if self.otlp_authority.is_some() && !self.otlp.as_ref().is_some_and(by_tls) {
            let message = "is for a collector by TLS: set otlp to an https:// URL, or leave it out";
            problems.push(Problem::new("otlp_authority", message));
        }
        problems.extend(unreadable([(
            "otlp_authority",
            self.otlp_authority.as_ref(),
        )]));
        if !(0.0..=1.0).contains(&self.sample) {
            problems.push(Problem::new("sample", "must be from 0 to 1"));
        }
        problems
    }
}
