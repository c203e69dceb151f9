//! What a server session is told about its service.

use std::time::Duration;

use crate::dialect::Dialect;

/// When AUTH is offered and accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthOffer {
    /// Never.
    Never,
    /// Under TLS only: PLAIN and LOGIN carry the password itself (RFC 4954 §4).
    AfterTls,
}

/// How long a client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From one command to the next, in whole. RFC 5321 §4.5.3.2.7: at least 5 minutes, the
    /// default.
    pub command: Duration,
    /// From one block of content to the next. RFC 5321 §4.5.3.2.5: 3 minutes, the default.
    pub data_block: Duration,
    /// For the whole content of one message, so that a trickle cannot hold memory for days.
    /// Default 1 hour.
    pub content: Duration,
    /// For the TLS handshake after STARTTLS. Default 1 minute.
    pub handshake: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            command: Duration::from_mins(5),
            data_block: Duration::from_mins(3),
            content: Duration::from_hours(1),
            handshake: Duration::from_mins(1),
        }
    }
}

/// The settings of a server session, shared by all sessions of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// SMTP or LMTP.
    pub dialect: Dialect,
    /// Our name, the first word of the greeting (RFC 5321 §4.2).
    pub host_name: String,
    /// Largest content, in octets, announced as `SIZE` (RFC 1870).
    pub max_message_size: u64,
    /// Most recipients in one transaction. RFC 5321 §4.5.3.1.8: at least 100.
    pub max_recipients: usize,
    /// Longest line of content, in octets with its CR LF. RFC 5321 §4.5.3.1.6 grants 1,000;
    /// programs exceed it.
    pub max_text_line: usize,
    /// Longest command line, in octets with its CR LF. RFC 5321 §4.5.3.1.4: 512, and more for
    /// extensions. AUTH has its own limit of 12,288 (RFC 4954 §4).
    pub max_command_line: usize,
    /// Whether STARTTLS is offered while the connection is in plaintext (RFC 3207).
    pub start_tls: bool,
    /// When AUTH is offered.
    pub auth: AuthOffer,
    /// So many bad commands end the session; an accepted message starts the count anew.
    pub max_errors: usize,
    /// So many wrong credentials end the session.
    pub max_auth_failures: usize,
    /// How long the client may take.
    pub timeouts: Timeouts,
}

impl Config {
    /// Defaults for a host name: 50 MiB, 1,000 recipients, neither STARTTLS nor AUTH.
    #[must_use]
    pub fn new(dialect: Dialect, host_name: impl Into<String>) -> Self {
        Self {
            dialect,
            host_name: host_name.into(),
            max_message_size: 50 * 1024 * 1024,
            max_recipients: 1_000,
            max_text_line: 65_536,
            max_command_line: 2_048,
            start_tls: false,
            auth: AuthOffer::Never,
            max_errors: 20,
            max_auth_failures: 3,
            timeouts: Timeouts::default(),
        }
    }
}
