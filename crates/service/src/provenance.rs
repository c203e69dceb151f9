//! Where a message came from: told to whoever reads its trace field, its row in the queue, or the log.

use message::trace::{Protocol, ReceivedFields, TlsDetails, received};
use queue::{Origin, QueueId, Service};
use smtp::server::HelloVerb;
use smtp::{Mailbox, ReversePath};
use smtp_net::SessionInfo;
use time::OffsetDateTime;

use crate::message_log;

/// The session that a message came in on, and who took it.
#[derive(Clone, Copy, Debug)]
pub struct Provenance<'a> {
    /// Who accepts the message.
    pub service: Service,
    /// The session.
    pub session: &'a SessionInfo,
    /// The account that is logged in.
    pub login: Option<&'a Mailbox>,
}

impl Provenance<'_> {
    /// The trace field that says that `host_name` took the message (RFC 5321 §4.4).
    #[must_use]
    pub fn trace_field(
        &self,
        host_name: &str,
        queue_id: QueueId,
        recipients: &[Mailbox],
        at: OffsetDateTime,
    ) -> String {
        let tls = self.session.tls.as_ref();
        received(&ReceivedFields {
            from_hello: self.hello(),
            client_ip: self.session.peer.ip(),
            client_name: None,
            by: host_name,
            with: self.protocol(),
            tls: tls.map(|tls| TlsDetails {
                version: tls.version,
                cipher: tls.cipher,
            }),
            id: &queue_id.to_string(),
            for_recipient: match recipients {
                [only] => Some(only),
                _ => None,
            },
            at,
        })
    }

    /// What the queue keeps of it.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin {
            service: self.service,
            client: Some(self.session.peer.ip()),
            hello: self.hello().map(str::to_owned),
            login: self.login.map(ToString::to_string),
            tls: self.tls(),
        }
    }

    /// The log line of the acceptance; `size` is that of the content as stored, in octets.
    pub fn log_accepted(
        &self,
        queue_id: QueueId,
        reverse_path: &ReversePath,
        recipients: &[Mailbox],
        size: usize,
    ) {
        let message = message_log::Message {
            queue_id: &queue_id,
            reverse_path,
        };
        let (login, tls) = (self.login.map(ToString::to_string), self.tls());
        let source = message_log::Source {
            service: self.service.as_str(),
            client: Some(self.session.peer.ip()),
            hello: self.hello(),
            login: login.as_deref(),
            tls: tls.as_deref(),
            size: size as u64,
        };
        message_log::accepted(&message, &source, recipients);
    }

    /// RFC 3848.
    fn protocol(&self) -> Protocol {
        let (tls, authenticated) = (self.session.tls.is_some(), self.login.is_some());
        match self.session.hello.as_ref().map(|hello| hello.verb) {
            Some(HelloVerb::Helo) => Protocol::Smtp,
            Some(HelloVerb::Lhlo) => Protocol::lmtp(tls, authenticated),
            Some(HelloVerb::Ehlo) | None => Protocol::esmtp(tls, authenticated),
        }
    }

    fn hello(&self) -> Option<&str> {
        let hello = self.session.hello.as_ref();
        hello.map(|hello| hello.name.as_str())
    }

    fn tls(&self) -> Option<String> {
        let tls = self.session.tls.as_ref()?;
        Some(format!("{} {}", tls.version, tls.cipher))
    }
}
