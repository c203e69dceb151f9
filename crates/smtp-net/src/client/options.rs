//! How a client connection is made.

use std::net::IpAddr;
use std::time::Duration;

use smtp::client::Config;

/// Whether a client asks for TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientTls {
    /// Plaintext, whatever the server offers: after a handshake failed, say.
    Never,
    /// TLS if the server offers STARTTLS, whatever certificate it shows (RFC 7435); plaintext if
    /// it doesn't, or refuses it.
    Opportunistic,
}

/// How a client connection is made.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Dialect, our name in EHLO, and the deadlines of RFC 5321 §4.5.3.2.
    pub session: Config,
    /// Whether to ask for TLS.
    pub tls: ClientTls,
    /// The address to connect from; none leaves it to the system.
    pub source_address: Option<IpAddr>,
    /// How long the TCP handshake may take. No RFC names a limit; 30 s.
    pub connect_timeout: Duration,
}

impl ClientOptions {
    /// Opportunistic TLS from any address, with the session's settings.
    #[must_use]
    pub fn new(session: Config) -> Self {
        Self {
            session,
            tls: ClientTls::Opportunistic,
            source_address: None,
            connect_timeout: Duration::from_secs(30),
        }
    }
}
