//! LMTP (RFC 2033): mail from hosts that are trusted, answered recipient by recipient.
//!
//! Nothing is queued: a recipient's 250 means that the message lies in the mailbox, and whoever is
//! told 4yz keeps it.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use directory::Resolution;
use ipnet::IpNet;
use message::content::joint;
use queue::{Content, QueueId, Service, Shard, TraceParent};
use rpc::delivery::{DeliverRequest, Outcomes};
use service::message_log::{self, Fate, Message};
use service::provenance::Provenance;
use smtp::server::Mail;
use smtp::{EnhancedStatus, Envelope, ForwardPath, Mailbox, Outcome, Recipient, Reply, ReplyCode};
use smtp_net::{Handler, SessionInfo};
use time::OffsetDateTime;

use crate::failure;
use crate::mailboxes::Mailboxes;

/// Mail that comes by LMTP is never queued, so its ids need no shard: they bear the first.
const SHARD: Shard = Shard::new(0).expect("there is a first shard");

/// What all LMTP sessions have in common.
#[derive(Debug)]
pub(crate) struct Lmtp {
    pub(crate) mailboxes: Mailboxes,
    pub(crate) host_name: String,
    pub(crate) trusted_networks: Vec<IpNet>,
}

impl Lmtp {
    fn is_trusted(&self, client: IpAddr) -> bool {
        let mut networks = self.trusted_networks.iter();
        networks.any(|network| network.contains(&client))
    }

    /// The mailbox that a path names, or why it is refused.
    async fn welcome(&self, path: &ForwardPath) -> Result<Mailbox, Outcome> {
        let directory = self.mailboxes.directory();
        let mailbox = match path {
            ForwardPath::Mailbox(mailbox) => mailbox.clone(),
            ForwardPath::Postmaster => match directory.postmaster().await {
                Ok(Some(postmaster)) => postmaster.mailbox(),
                Ok(None) => return Err(failure::unknown()),
                Err(error) => return Err(failure::not_resolved(&error)),
            },
        };
        match directory.resolve(&mailbox).await {
            Ok(Resolution::Accounts(_)) => Ok(mailbox),
            Ok(Resolution::Unknown) => Err(failure::unknown()),
            Ok(Resolution::Disabled) => Err(failure::disabled()),
            Ok(Resolution::NotLocal) => Err(failure::relaying_denied()),
            Err(error) => Err(failure::not_resolved(&error)),
        }
    }

    /// Puts the message into the mailboxes of `recipients`; the outcomes are in their order.
    async fn deliver(
        &self,
        envelope: &Envelope,
        recipients: &[Mailbox],
        content: Bytes,
        session: &SessionInfo,
    ) -> (QueueId, Outcomes) {
        let queue_id = QueueId::generate(SHARD);
        let accepted_at = OffsetDateTime::now_utc();
        let provenance = Provenance {
            service: Service::Delivery,
            session,
            login: None,
        };
        let prefix = provenance.trace_field(&self.host_name, queue_id, recipients, accepted_at)
            + joint(&content);
        let request = DeliverRequest {
            queue_id,
            attempt: 1,
            reverse_path: envelope.reverse_path.clone(),
            recipients: (0..).zip(recipients.iter().cloned()).collect(),
            accepted_at,
            trace: TraceParent::generate(),
            content: Content::new(prefix, content),
        };
        let outcomes = self.mailboxes.deliver(&request).await;
        log(&request, &outcomes, &provenance);
        (queue_id, outcomes)
    }
}

fn log(request: &DeliverRequest, outcomes: &Outcomes, provenance: &Provenance<'_>) {
    let fates = || request.recipients.iter().zip(outcomes);
    let taken: Vec<Mailbox> = fates()
        .filter(|(_, (_, outcome))| outcome.is_delivered())
        .map(|((_, recipient), _)| recipient.clone())
        .collect();
    let (queue_id, reverse_path) = (request.queue_id, &request.reverse_path);
    if !taken.is_empty() {
        provenance.log_accepted(queue_id, reverse_path, &taken, request.content.len());
    }
    let message = Message {
        queue_id: &queue_id,
        reverse_path,
    };
    let elapsed = OffsetDateTime::now_utc() - request.accepted_at;
    for ((_, recipient), (_, outcome)) in fates() {
        let report = outcome.report();
        let fate = Fate {
            recipient,
            next_hop: &"maildir",
            delay: elapsed.unsigned_abs(),
            status: &report.status,
            reply: &report.detail,
        };
        match outcome {
            Outcome::Delivered(_) => message_log::delivered(&message, &fate),
            // The client keeps it, and tries again or tells the sender.
            Outcome::Deferred(_) | Outcome::Failed(_) => message_log::rejected(&message, &fate),
        }
    }
}

/// One client's session.
pub(crate) struct LmtpSession {
    lmtp: Arc<Lmtp>,
    /// The recipients of this transaction, as they are delivered to.
    recipients: Vec<Mailbox>,
}

impl LmtpSession {
    pub(crate) fn new(lmtp: Arc<Lmtp>) -> Self {
        Self {
            lmtp,
            recipients: Vec::new(),
        }
    }
}

impl Handler for LmtpSession {
    async fn greet(&mut self, session: &SessionInfo) -> Reply {
        if self.lmtp.is_trusted(session.peer.ip()) {
            return Reply::new(ReplyCode::READY, None, "LMTP Chasqui");
        }
        tracing::info!(peer = %session.peer, "LMTP client outside the trusted networks refused");
        let text = "This service is for trusted hosts only";
        Reply::new(ReplyCode::TRANSACTION_FAILED, None, text)
    }

    async fn mail(&mut self, _mail: &Mail, _session: &SessionInfo) -> Reply {
        self.recipients.clear();
        Reply::new(ReplyCode::OK, EnhancedStatus::new(2, 1, 0), "Sender ok")
    }

    async fn rcpt(
        &mut self,
        recipient: &Recipient,
        _envelope: &Envelope,
        _session: &SessionInfo,
    ) -> Reply {
        match self.lmtp.welcome(&recipient.path).await {
            Ok(mailbox) => {
                self.recipients.push(mailbox);
                Reply::new(ReplyCode::OK, EnhancedStatus::new(2, 1, 5), "Recipient ok")
            }
            Err(outcome) => reply(&outcome),
        }
    }

    async fn accept(
        &mut self,
        envelope: Envelope,
        content: smtp_net::Content,
        session: &SessionInfo,
    ) -> Vec<Reply> {
        let recipients = std::mem::take(&mut self.recipients);
        if recipients.len() != envelope.recipients.len() {
            let lost_count = Reply::local_error("The recipients are not known any more");
            return vec![lost_count; envelope.recipients.len()];
        }
        let content = content.into_bytes();
        let delivery = self.lmtp.deliver(&envelope, &recipients, content, session);
        let (queue_id, outcomes) = delivery.await;
        let outcomes = recipients.iter().zip(&outcomes);
        outcomes
            .map(|(recipient, (_, outcome))| reply_for(recipient, queue_id, outcome))
            .collect()
    }

    fn reset(&mut self) {
        self.recipients.clear();
    }
}

fn reply_for(recipient: &Mailbox, queue_id: QueueId, outcome: &Outcome) -> Reply {
    let mut reply = reply(outcome);
    let text = reply.lines.concat();
    reply.lines = vec![if outcome.is_delivered() {
        format!("<{recipient}> {text} as {queue_id}")
    } else {
        format!("<{recipient}> {text}")
    }];
    reply
}

/// An outcome as a reply: in LMTP it is not ours to defer or to fail, only to say so.
fn reply(outcome: &Outcome) -> Reply {
    let report = outcome.report();
    let code = match outcome {
        Outcome::Delivered(_) => ReplyCode::OK,
        Outcome::Failed(_) => ReplyCode::MAILBOX_UNAVAILABLE,
        Outcome::Deferred(_) => match (report.status.subject(), report.status.detail()) {
            // Over quota, or no space.
            (2, 2) | (3, 1) => ReplyCode::INSUFFICIENT_STORAGE,
            _ => ReplyCode::LOCAL_ERROR,
        },
    };
    Reply::new(code, report.status, report.detail.as_str())
}
