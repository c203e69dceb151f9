//! What a failed attempt means, and what to do about it. No other file decides either.
//!
//! A [`Failure`] says how far it reaches (its [`Scope`]) and whether time can heal it (its
//! [`Class`]). From these two follow the three questions of an attempt: is another host worth
//! trying, does the destination rest, and what becomes of the recipients.

use std::fmt;

use smtp::client::Ending;
use smtp::{EnhancedStatus, Outcome, Reply, Report};

/// How far a failure reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The session was refused or never came about: another host, or the same one later, may well
    /// accept.
    Session,
    /// The session broke in the middle of this message's transaction: another host may fare better,
    /// but it may as well be the message that they stumble over.
    Transaction,
    /// The host (or the whole domain, where DNS speaks) can't be used.
    Host,
    /// This message, for all its recipients: another message may pass.
    Message,
    /// This recipient alone.
    Recipient,
}

/// Whether time can heal it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Worth trying again.
    Transient,
    /// Trying again gives the same answer.
    Permanent,
}

/// Why an attempt, or a part of it, failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// How far it reaches.
    pub(crate) scope: Scope,
    /// Whether time can heal it.
    pub(crate) class: Class,
    /// RFC 3463 status for the journal, the log and a DSN.
    pub(crate) status: EnhancedStatus,
    /// The far end's words, when it spoke.
    pub(crate) reply: Option<Reply>,
    /// Our words.
    pub(crate) detail: String,
}

/// RFC 3463 §3.5: no answer from host.
const NO_ANSWER: EnhancedStatus = EnhancedStatus::new(4, 4, 1);
/// RFC 3463 §3.5: bad connection.
const BAD_CONNECTION: EnhancedStatus = EnhancedStatus::new(4, 4, 2);
/// RFC 3463 §3.5: directory server failure, here the DNS.
const DNS_FAILURE: EnhancedStatus = EnhancedStatus::new(4, 4, 3);
/// RFC 3463 §3.2: bad destination system address.
const NO_SUCH_DOMAIN: EnhancedStatus = EnhancedStatus::new(5, 1, 2);
/// RFC 7505 §4.1: the domain accepts no mail.
const NULL_MX: EnhancedStatus = EnhancedStatus::new(5, 1, 10);
/// RFC 3463 §3.5: routing loop detected.
const ROUTING_LOOP: EnhancedStatus = EnhancedStatus::new(5, 4, 6);

impl Failure {
    /// No TCP connection, or none in time.
    pub(crate) fn unreachable(detail: impl Into<String>) -> Self {
        Self::new(Scope::Host, Class::Transient, NO_ANSWER, None, detail)
    }

    /// The session ended or stalled before an answer came.
    pub(crate) fn lost(detail: impl Into<String>) -> Self {
        Self::new(
            Scope::Session,
            Class::Transient,
            BAD_CONNECTION,
            None,
            detail,
        )
    }

    /// The session broke in the middle of a transaction.
    pub(crate) fn broken_off(detail: impl Into<String>) -> Self {
        Self::new(
            Scope::Transaction,
            Class::Transient,
            BAD_CONNECTION,
            None,
            detail,
        )
    }

    /// No reply to the final dot: the far end may have the message (RFC 5321 §4.5.3.2.6, RFC 1047).
    /// To ask another host at once would make a duplicate likely; later is soon enough.
    pub(crate) fn unanswered_dot(ending: &Ending) -> Self {
        Self::broken_off(format!(
            "{ending} after the final dot: the message may arrive twice"
        ))
    }

    /// The host refuses the whole session: a greeting or EHLO that isn't 2xx, or a 421 at any point
    /// (RFC 5321 §3.8). Always transient for the mail: another host, or this one later, may accept.
    pub(crate) fn session_refused(reply: Reply, stage: &str) -> Self {
        let status = transient(status_of(&reply, EnhancedStatus::new(4, 3, 2)));
        Self::new(
            Scope::Session,
            Class::Transient,
            status,
            Some(reply),
            format!("the host refused the session at {stage}"),
        )
    }

    /// A refusal of the message, which holds for all its recipients.
    pub(crate) fn message_refused(reply: Reply, stage: &str) -> Self {
        Self::refused(Scope::Message, reply, stage)
    }

    /// A refusal of one recipient.
    pub(crate) fn recipient_refused(reply: Reply) -> Self {
        Self::refused(Scope::Recipient, reply, "RCPT")
    }

    /// The message can't be sent as it is to a host with these extensions (RFC 6152 §3, RFC 1870
    /// §6.2).
    pub(crate) fn not_sendable(status: EnhancedStatus, detail: impl Into<String>) -> Self {
        Self::new(Scope::Message, Class::Permanent, status, None, detail)
    }

    /// The DNS gave no answer this time.
    pub(crate) fn dns(detail: impl Into<String>) -> Self {
        Self::new(Scope::Host, Class::Transient, DNS_FAILURE, None, detail)
    }

    /// The DNS says that the domain doesn't exist, or that it has no address.
    pub(crate) fn no_such_domain(detail: impl Into<String>) -> Self {
        Self::new(Scope::Host, Class::Permanent, NO_SUCH_DOMAIN, None, detail)
    }

    /// A null MX: the domain says that it accepts no mail (RFC 7505 §3).
    pub(crate) fn null_mx(domain: &str) -> Self {
        let detail = format!("{domain} accepts no mail (null MX, RFC 7505)");
        Self::new(Scope::Host, Class::Permanent, NULL_MX, None, detail)
    }

    /// The best MX is this very host, or too many Received fields: the mail would go round (RFC
    /// 5321 §5.1, §6.3).
    pub(crate) fn routing_loop(detail: impl Into<String>) -> Self {
        Self::new(Scope::Host, Class::Permanent, ROUTING_LOOP, None, detail)
    }

    /// The destination rested until the message's time was up.
    pub(crate) fn not_reached(status: EnhancedStatus, detail: impl Into<String>) -> Self {
        Self::new(Scope::Transaction, Class::Transient, status, None, detail)
    }

    /// Something of ours isn't there: never the mail's fault, and never the destination's.
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        let status = EnhancedStatus::new(4, 3, 0);
        Self::new(Scope::Message, Class::Transient, status, None, detail)
    }

    /// With no host left to try, the destination rests as a whole. A recipient's or a message's
    /// refusal (greylisting, say) never makes a destination rest, nor does a message that hosts
    /// stumble over.
    pub(crate) fn suspends_destination(&self) -> bool {
        matches!(self.scope, Scope::Session | Scope::Host) && self.class == Class::Transient
    }

    /// Something of ours was at fault, neither the message nor the destination.
    pub(crate) fn is_internal(&self) -> bool {
        self.scope == Scope::Message && self.class == Class::Transient && self.reply.is_none()
    }

    /// Of the failures of two hosts, the one to go by when none is left: what time can heal
    /// outweighs what it can't.
    pub(crate) fn or(self, later: Self) -> Self {
        if self.class == Class::Transient && later.class == Class::Permanent {
            self
        } else {
            later
        }
    }

    /// What it means for a recipient when nothing else is left to try.
    pub(crate) fn into_outcome(self) -> Outcome {
        let report = Report::new(self.status, self.reply, self.detail);
        match self.class {
            Class::Transient => Outcome::Deferred(report),
            Class::Permanent => Outcome::Failed(report),
        }
    }

    fn refused(scope: Scope, reply: Reply, stage: &str) -> Self {
        // RFC 5321 §4.2.1: the first digit alone decides; what is neither 4yz nor 5yz here is no
        // refusal that a server may give, and so no reason to bounce.
        let class = if reply.code.is_permanent() {
            Class::Permanent
        } else {
            Class::Transient
        };
        let status = match class {
            Class::Permanent => status_of(&reply, EnhancedStatus::new(5, 0, 0)),
            Class::Transient => transient(status_of(&reply, EnhancedStatus::new(4, 0, 0))),
        };
        Self::new(
            scope,
            class,
            status,
            Some(reply),
            format!("refused at {stage}"),
        )
    }

    fn new(
        scope: Scope,
        class: Class,
        status: EnhancedStatus,
        reply: Option<Reply>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            scope,
            class,
            status,
            reply,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reply {
            Some(reply) => write!(f, "{}: {reply}", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}

/// The reply's own enhanced status when its class agrees with the code (RFC 2034 §4), else
/// `fallback`.
fn status_of(reply: &Reply, fallback: EnhancedStatus) -> EnhancedStatus {
    let agrees = |status: &EnhancedStatus| status.is_permanent() == reply.code.is_permanent();
    reply.status.filter(agrees).unwrap_or(fallback)
}

/// The same subject and detail, as a persistent transient failure.
fn transient(status: EnhancedStatus) -> EnhancedStatus {
    EnhancedStatus::new(4, status.subject(), status.detail())
}

#[cfg(test)]
mod tests {
    use smtp::ReplyCode;

    use super::*;

    fn reply(code: u16, status: Option<EnhancedStatus>) -> Reply {
        Reply::new(ReplyCode::new(code), status, "text")
    }

    #[test]
    fn a_refusing_greeting_tries_the_next_host_and_never_bounces() {
        let failure =
            Failure::session_refused(reply(554, Some(EnhancedStatus::new(5, 7, 1))), "greeting");
        assert!(failure.suspends_destination());
        assert_eq!(failure.status, EnhancedStatus::new(4, 7, 1));
        assert!(failure.into_outcome().is_deferred());
    }

    #[test]
    fn greylisting_defers_the_recipient_and_leaves_the_destination_alone() {
        let failure = Failure::recipient_refused(reply(450, None));
        assert!(!failure.suspends_destination());
        assert!(failure.into_outcome().is_deferred());
    }

    #[test]
    fn a_permanent_refusal_bounces_with_the_far_ends_status() {
        let status = EnhancedStatus::new(5, 1, 1);
        let failure = Failure::recipient_refused(reply(550, Some(status)));
        assert_eq!(failure.status, status);
        assert!(failure.into_outcome().is_failed());
    }

    #[test]
    fn a_status_that_contradicts_its_code_is_not_believed() {
        let failure =
            Failure::message_refused(reply(550, Some(EnhancedStatus::new(4, 7, 1))), "MAIL");
        assert_eq!(failure.status, EnhancedStatus::new(5, 0, 0));
    }

    #[test]
    fn an_unexpected_positive_reply_is_no_reason_to_bounce() {
        let failure = Failure::message_refused(reply(251, None), "DATA");
        assert!(failure.into_outcome().is_deferred());
    }

    #[test]
    fn one_host_that_may_heal_outweighs_those_that_cannot() {
        let gone = Failure::no_such_domain("the mail host a.example has no address");
        let away = Failure::unreachable("connection refused");
        assert_eq!(away.clone().or(gone.clone()), away);
        assert_eq!(gone.clone().or(away.clone()), away);
    }

    #[test]
    fn a_domain_that_takes_no_mail_bounces_at_once() {
        let failure = Failure::null_mx("example.org");
        assert!(!failure.suspends_destination());
        assert!(failure.into_outcome().is_failed());
    }
}
