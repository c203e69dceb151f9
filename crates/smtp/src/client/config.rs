//! What a client session is told before it starts.

use std::time::Duration;

use super::Stage;
use crate::dialect::Dialect;
use crate::domain::MailDomain;

/// The settings of a client session.
#[derive(Clone, Debug)]
pub struct Config {
    /// The protocol.
    pub dialect: Dialect,
    /// Our name in EHLO: the fully qualified host name, or an address literal if there is none
    /// (RFC 5321 §4.1.1.1).
    pub hello_name: MailDomain,
    /// How long to wait for the server.
    pub timeouts: Timeouts,
}

impl Config {
    /// SMTP with the timeouts of the RFC.
    #[must_use]
    pub fn new(hello_name: impl Into<MailDomain>) -> Self {
        Self {
            dialect: Dialect::Smtp,
            hello_name: hello_name.into(),
            timeouts: Timeouts::default(),
        }
    }
}

/// How long to wait for the server at each stage (RFC 5321 §4.5.3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the greeting. RFC 5321 §4.5.3.2.1: 5 minutes.
    pub greeting: Duration,
    /// For the reply to EHLO, HELO or LHLO. The RFC names none; 5 minutes, as for the greeting.
    pub hello: Duration,
    /// For the reply to STARTTLS, and again for the handshake. The RFC names none; 1 minute.
    pub start_tls: Duration,
    /// For each reply to AUTH, where servers dwell on failures. The RFC names none; 2 minutes.
    pub auth: Duration,
    /// For the reply to MAIL, and to RSET. RFC 5321 §4.5.3.2.2: 5 minutes.
    pub mail: Duration,
    /// For the reply to each RCPT. RFC 5321 §4.5.3.2.3: 5 minutes.
    pub rcpt: Duration,
    /// For the reply to DATA. RFC 5321 §4.5.3.2.4: 2 minutes.
    pub data: Duration,
    /// For the completion of each write of content, which the driver watches over.
    /// RFC 5321 §4.5.3.2.5: 3 minutes.
    pub data_block: Duration,
    /// For each reply to the final dot. RFC 5321 §4.5.3.2.6: 10 minutes; a shorter wait makes
    /// duplicates (RFC 1047).
    pub final_dot: Duration,
    /// For the reply to QUIT, after which nothing is at stake. The RFC names none; 10 seconds.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        Self {
            greeting: minutes(5),
            hello: minutes(5),
            start_tls: minutes(1),
            auth: minutes(2),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            data_block: minutes(3),
            final_dot: minutes(10),
            quit: Duration::from_secs(10),
        }
    }
}

impl Timeouts {
    /// How long to wait for the server at a stage; none where it is not the server's turn, and
    /// while content is written, which the driver watches over.
    pub(super) fn at(&self, stage: Stage) -> Option<Duration> {
        match stage {
            Stage::Greeting => Some(self.greeting),
            Stage::Hello => Some(self.hello),
            Stage::StartTls | Stage::Tls => Some(self.start_tls),
            Stage::Auth => Some(self.auth),
            Stage::Reset | Stage::Mail => Some(self.mail),
            Stage::Rcpt => Some(self.rcpt),
            Stage::Data => Some(self.data),
            Stage::FinalDot => Some(self.final_dot),
            Stage::Quit => Some(self.quit),
            Stage::Ready | Stage::Content => None,
        }
    }
}
