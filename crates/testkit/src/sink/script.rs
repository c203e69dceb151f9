//! What a [`Sink`](crate::Sink) offers, and where it misbehaves.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use crate::certificate::TestCertificate;

/// A moment in a session at which something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The client has connected.
    Greeting,
    /// EHLO; to HELO the answer is always 250.
    Hello,
    /// The command STARTTLS.
    StartTls,
    /// The TLS handshake, after the reply to STARTTLS. [`Action::Reply`] sends plain text instead.
    Handshake,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, before any content.
    Data,
    /// In the midst of the content. There is nothing to reply to here.
    Content,
    /// After the final dot, before its reply.
    Dot,
    /// RSET.
    Rset,
    /// QUIT.
    Quit,
}

/// What happens at a [`Stage`] instead of the usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// This reply, without its CRLF. The session goes on as its code says.
    Reply(String),
    /// This reply, and the connection ends.
    ReplyAndClose(String),
    /// The connection ends without a word.
    Close,
    /// Nothing is said any more; the connection stays open.
    Stall,
    /// The usual, after a while.
    Delay(Duration),
}

impl Action {
    /// A reply such as `451 4.7.1 later`.
    #[must_use]
    pub fn reply(text: &str) -> Self {
        Self::Reply(text.to_owned())
    }

    /// A reply such as `421 4.3.2 shutting down`, after which the connection ends.
    #[must_use]
    pub fn reply_and_close(text: &str) -> Self {
        Self::ReplyAndClose(text.to_owned())
    }
}

/// How a [`Sink`](crate::Sink) behaves: it takes everything, except where told otherwise.
#[derive(Clone, Debug)]
pub struct Script {
    pub(super) extensions: Vec<String>,
    pub(super) tls: Option<Arc<ServerConfig>>,
    rules: Vec<Rule>,
    recipients: HashMap<String, String>,
    max_recipients: usize,
    greylisting: bool,
    seen: HashSet<String>,
}

#[derive(Clone, Debug)]
struct Rule {
    stage: Stage,
    action: Action,
    /// How often it still applies.
    left: usize,
}

impl Default for Script {
    fn default() -> Self {
        Self::new()
    }
}

impl Script {
    /// Takes all mail, offers PIPELINING, 8BITMIME, ENHANCEDSTATUSCODES and SIZE, and no TLS.
    #[must_use]
    pub fn new() -> Self {
        let extensions = [
            "PIPELINING",
            "8BITMIME",
            "ENHANCEDSTATUSCODES",
            "SIZE 52428800",
        ];
        Self {
            extensions: extensions.map(str::to_owned).to_vec(),
            tls: None,
            rules: Vec::new(),
            recipients: HashMap::new(),
            max_recipients: usize::MAX,
            greylisting: false,
            seen: HashSet::new(),
        }
    }

    /// Offers another extension, such as `SIZE 1000`, in place of one of the same name.
    #[must_use]
    pub fn offering(self, extension: &str) -> Self {
        let keyword = extension.split(' ').next().unwrap_or_default().to_owned();
        let mut script = self.without(&keyword);
        script.extensions.push(extension.to_owned());
        script
    }

    /// Does not offer an extension.
    #[must_use]
    pub fn without(mut self, keyword: &str) -> Self {
        self.extensions.retain(|extension| {
            let name = extension.split(' ').next().unwrap_or_default();
            !name.eq_ignore_ascii_case(keyword)
        });
        self
    }

    /// Offers STARTTLS.
    #[must_use]
    pub fn starttls(mut self, certificate: &TestCertificate) -> Self {
        self.tls = Some(certificate.server());
        self
    }

    /// Does something else at a stage, each time.
    #[must_use]
    pub fn on(self, stage: Stage, action: Action) -> Self {
        self.first(usize::MAX, stage, action)
    }

    /// Does something else at a stage the first `times`, over all connections.
    #[must_use]
    pub fn first(mut self, times: usize, stage: Stage, action: Action) -> Self {
        self.rules.push(Rule {
            stage,
            action,
            left: times,
        });
        self
    }

    /// Replies to RCPT for one recipient.
    #[must_use]
    pub fn recipient(mut self, address: &str, reply: &str) -> Self {
        self.recipients.insert(address.to_owned(), reply.to_owned());
        self
    }

    /// Takes so many recipients a transaction, and replies 452 to more (RFC 5321 §4.5.3.1.10).
    #[must_use]
    pub fn at_most_recipients(mut self, count: usize) -> Self {
        self.max_recipients = count;
        self
    }

    /// Replies 451 to each recipient's first RCPT.
    #[must_use]
    pub fn greylisting(mut self) -> Self {
        self.greylisting = true;
        self
    }

    pub(super) fn offers(&self, keyword: &str) -> bool {
        self.extensions.iter().any(|extension| {
            let name = extension.split(' ').next().unwrap_or_default();
            name.eq_ignore_ascii_case(keyword)
        })
    }

    /// What to do at a stage, if not the usual. Uses up what applies only so often.
    pub(super) fn action(&mut self, stage: Stage) -> Option<Action> {
        let applies = |rule: &&mut Rule| rule.stage == stage && rule.left > 0;
        let rule = self.rules.iter_mut().find(applies)?;
        rule.left -= 1;
        Some(rule.action.clone())
    }

    /// What to do with the next recipient of a transaction, if not to take it.
    pub(super) fn recipient_action(&mut self, address: &str, accepted: usize) -> Option<Action> {
        if let Some(reply) = self.recipients.get(address) {
            return Some(Action::reply(reply));
        }
        if self.greylisting && self.seen.insert(address.to_owned()) {
            return Some(Action::reply("451 4.7.1 Greylisted, come back later"));
        }
        if accepted >= self.max_recipients {
            return Some(Action::reply("452 4.5.3 Too many recipients"));
        }
        self.action(Stage::Rcpt)
    }
}
