//! The DSN that tells a sender what the queue gave up on (RFC 3464, RFC 5321 §6.1).

use std::net::IpAddr;
use std::sync::Arc;

use message::dsn::{Action, Dsn, FailedRecipient, Original};
use queue::{Content, LeasedUnit, NewMessage, Origin, QueueId, Service};
use smtp::{Body, MailDomain, Mailbox, Report, ReversePath};
use time::OffsetDateTime;

use super::attempt::FarEnd;

/// Who writes notifications.
#[derive(Debug, Clone)]
pub(crate) struct Notifier {
    /// This host's name, the reporting MTA.
    pub(crate) host_name: String,
    /// The author.
    pub(crate) author: Mailbox,
    /// How long a notification is tried.
    pub(crate) expire_after: std::time::Duration,
}

/// A recipient who won't get the message.
#[derive(Debug, Clone)]
pub(crate) struct GivenUp {
    /// Number within the message.
    pub(crate) number: i32,
    /// [`Action::Failed`] or [`Action::Expired`].
    pub(crate) action: Action,
    /// Why.
    pub(crate) report: Report,
    /// Who said so.
    pub(crate) far_end: Arc<FarEnd>,
}

impl Notifier {
    /// The notification on `given_up`, to be queued in the transaction that records the failure.
    /// None when nobody is to be told: a null reverse-path never yields a DSN (RFC 5321 §4.5.5),
    /// nor does a message without failures.
    pub(crate) fn notification(
        &self,
        unit: &LeasedUnit,
        given_up: Vec<GivenUp>,
        content: &Content,
        now: OffsetDateTime,
    ) -> Option<NewMessage> {
        let sender = unit
            .reverse_path
            .mailbox()
            .filter(|_| !given_up.is_empty())?;
        let recipients: Vec<FailedRecipient> = given_up
            .into_iter()
            .filter_map(|given_up| failed_recipient(unit, given_up, now))
            .collect();
        let original_id = unit.lease.unit.queue_id;
        let id = QueueId::generate(original_id.shard());
        let dsn = Dsn {
            id: &id.to_string(),
            at: now,
            from: &self.author,
            to: sender,
            reporting_mta: &self.host_name,
            queue_id: &original_id.to_string(),
            envelope_id: None,
            arrival: unit.accepted_at,
            recipients: &recipients,
            original: Original::Headers(&content.to_bytes()),
        };
        Some(NewMessage {
            id,
            tenant: unit.tenant,
            reverse_path: ReversePath::Null,
            body: Body::SevenBit,
            recipients: vec![sender.clone()],
            content: Content::from(dsn.build()),
            origin: Origin::own(Service::Outbound),
            trace: unit.trace,
            expires_at: now + self.expire_after,
            lease_to: None,
        })
    }
}

fn failed_recipient(
    unit: &LeasedUnit,
    given_up: GivenUp,
    now: OffsetDateTime,
) -> Option<FailedRecipient> {
    let recipient = unit
        .recipients
        .iter()
        .find(|recipient| recipient.number == given_up.number)?;
    let remote_mta = given_up
        .report
        .reply
        .as_ref()
        .and(given_up.far_end.host.as_deref())
        .map(mta_name);
    Some(FailedRecipient {
        recipient: recipient.mailbox.clone(),
        action: given_up.action,
        status: given_up.report.status,
        diagnostic: given_up.report.reply,
        remote_mta,
        last_attempt: Some(now),
        detail: given_up.report.detail,
    })
}

/// A host as a DSN names it: an address stands in brackets (RFC 3464 §2.3.5, RFC 5321 §4.1.3).
fn mta_name(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(address) => MailDomain::Literal(address).to_string(),
        Err(_) => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_in_brackets() {
        for (host, name) in [
            ("mx.example.org", "mx.example.org"),
            ("192.0.2.1", "[192.0.2.1]"),
            ("2001:db8::1", "[IPv6:2001:db8::1]"),
        ] {
            assert_eq!(mta_name(host), name);
        }
    }
}
