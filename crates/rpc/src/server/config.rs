//! Where a gRPC server listens, and who may call it.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::channel::Identity;
use crate::token::Token;

/// Where a gRPC server listens, and who may call it.
///
/// HandOff injects mail and Directory tests passwords, so only loopback may be open: anywhere
/// else the server demands a client certificate, a token, or both.
#[derive(Clone, Debug)]
pub struct GrpcServerConfig {
    /// The address to listen on; port 0 takes a free one.
    pub bind: SocketAddr,
    /// TLS; none for plain text.
    pub tls: Option<ServerTls>,
    /// The token that callers must show.
    pub token: Option<SecretString>,
}

/// TLS of a server. The files are PEM, read when the server is made.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// The server's certificate and key.
    pub identity: Identity,
    /// Certificates of the authorities that may vouch for callers. With it, every caller must
    /// have a certificate (mTLS).
    pub client_authority: Option<PathBuf>,
}

/// Something to be put right in a [`GrpcServerConfig`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The field: `bind` or `token`.
    pub key: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

impl GrpcServerConfig {
    /// Plain text, open to all who can connect: loopback only.
    #[must_use]
    pub fn plain(bind: SocketAddr) -> Self {
        Self {
            bind,
            tls: None,
            token: None,
        }
    }

    /// All that is wrong with the settings, as far as it shows without reading files.
    #[must_use]
    pub fn problems(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        if let Err(error) = self.token() {
            problems.push(ConfigProblem {
                key: "token",
                message: error.to_string(),
            });
        }
        if !self.is_loopback() && !self.demands_credentials() {
            problems.push(ConfigProblem {
                key: "bind",
                message: format!(
                    "{} is not a loopback address: set a token, or a TLS certificate and the \
                     authority of client certificates (mTLS), so that not everybody can inject mail",
                    self.bind
                ),
            });
        }
        problems
    }

    pub(super) fn token(&self) -> Result<Option<Token>, crate::token::TokenError> {
        self.token.as_ref().map(Token::new).transpose()
    }

    /// Whether the token would cross a network in plain text.
    pub(super) fn exposes_token(&self) -> bool {
        !self.is_loopback() && self.tls.is_none()
    }

    fn is_loopback(&self) -> bool {
        self.bind.ip().to_canonical().is_loopback()
    }

    fn demands_credentials(&self) -> bool {
        let has_client_authority = self
            .tls
            .as_ref()
            .is_some_and(|tls| tls.client_authority.is_some());
        self.token.is_some() || has_client_authority
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn tls(client_authority: Option<&str>) -> Option<ServerTls> {
        Some(ServerTls {
            identity: Identity {
                certificate: "server.pem".into(),
                key: "server.key".into(),
            },
            client_authority: client_authority.map(Into::into),
        })
    }

    fn config(bind: &str) -> GrpcServerConfig {
        GrpcServerConfig::plain(bind.parse().unwrap())
    }

    #[test]
    fn loopback_may_be_open() {
        for bind in [
            "127.0.0.1:1",
            "127.8.8.8:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(config(bind).problems(), []);
        }
    }

    #[test]
    fn elsewhere_credentials_are_demanded() {
        for bind in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            let open = config(bind);
            assert_eq!(open.problems()[0].key, "bind");
            let server_only = GrpcServerConfig {
                tls: tls(None),
                ..open.clone()
            };
            assert_eq!(server_only.problems()[0].key, "bind");
            let mutual = GrpcServerConfig {
                tls: tls(Some("ca.pem")),
                ..open.clone()
            };
            assert_eq!(mutual.problems(), []);
            let token = Some("0123456789abcdef0123456789abcdef".into());
            assert_eq!(GrpcServerConfig { token, ..open }.problems(), []);
        }
    }

    #[test]
    fn a_weak_token_is_a_problem_anywhere() {
        let weak = GrpcServerConfig {
            token: Some("secret".into()),
            ..config("127.0.0.1:1")
        };
        assert_eq!(weak.problems()[0].key, "token");
    }
}
