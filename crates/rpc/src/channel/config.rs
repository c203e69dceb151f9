//! How to reach a service.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use crate::token::Token;

/// How to reach one service: all of its instances are equal.
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    /// Where the instances are. Every address of every name is used, and names are resolved again
    /// every few seconds, so that one name for all instances will do.
    pub targets: Vec<Target>,
    /// TLS; none for plain text.
    pub tls: Option<ClientTls>,
    /// The token that the service demands, if it does.
    pub token: Option<Token>,
    /// How long one call may take, connecting and retrying included.
    pub deadline: Duration,
}

impl ChannelConfig {
    /// Plain text and no token: fit for loopback.
    #[must_use]
    pub fn plain(targets: Vec<Target>, deadline: Duration) -> Self {
        Self {
            targets,
            tls: None,
            token: None,
            deadline,
        }
    }
}

/// A host name or IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    host: String,
    port: u16,
}

impl Target {
    /// Puts a target together. An IPv6 address goes without brackets.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// The host name or IP address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// The text is not `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not host:port")]
pub struct TargetError(String);

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || TargetError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let port = port.parse().map_err(|_| error())?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(error)?,
            None if host.contains(':') => return Err(error()),
            None => host,
        };
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_host) {
            return Err(error());
        }
        Ok(Self::new(host, port))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// TLS towards a service. The files are PEM, read when the channel is made.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// Certificates of the authorities that the service's certificate is checked against.
    pub authority: PathBuf,
    /// Our own certificate, for a service that demands one (mTLS).
    pub identity: Option<Identity>,
    /// The name in the service's certificate; the target's host if none is given.
    pub server_name: Option<String>,
}

/// A certificate with its key, in PEM files.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, followed by its intermediates.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why a channel cannot be made. All of it is configuration; whether the service answers shows at
/// the first call.
#[derive(Debug, Error)]
pub enum ChannelError {
    /// There is nowhere to connect to.
    #[error("no target is given")]
    NoTarget,
    /// A PEM file cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Target, certificates or key are unusable.
    #[error("no channel to {target} can be made")]
    Unusable {
        /// Where to.
        target: Target,
        /// What is wrong.
        source: tonic::transport::Error,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn targets_are_a_host_and_a_port() {
        for text in [
            "localhost:2625",
            "192.0.2.1:1",
            "[::1]:65535",
            "a-b.example:80",
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        assert_eq!("[::1]:7".parse::<Target>().unwrap().host(), "::1");
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in [
            "",
            "host",
            "host:",
            ":25",
            "host:65536",
            "::1:25",
            "[::1:25",
            "http://host:25",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
