//! Whom the relay takes mail from and for whom: for our own users from anybody, for others only
//! from `relay_networks`.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use rpc::directory::{DirectoryClient, Lookup};
use smtp::server::Mail;
use smtp::{EnhancedStatus, Envelope, ForwardPath, Mailbox, Recipient, Reply};
use smtp_net::{Content, Handler, SessionInfo};

use super::accept::{Acceptor, Arrival};
use super::refusal;

/// What all inbound sessions share.
pub(crate) struct Inbound {
    /// Who is local.
    pub(crate) directory: DirectoryClient,
    /// Takes responsibility for messages.
    pub(crate) acceptor: Acceptor,
    /// Clients that may send to anybody.
    pub(crate) relay_networks: Vec<IpNet>,
    /// A message with more Received fields goes round (RFC 5321 §6.3: at least 100).
    pub(crate) max_hops: usize,
}

/// The policy of one inbound connection.
pub(crate) struct InboundSession {
    shared: Arc<Inbound>,
    /// Whom `<Postmaster>` means, once it was asked for.
    postmaster: Option<Mailbox>,
}

impl InboundSession {
    /// For a new connection.
    pub(crate) fn new(shared: Arc<Inbound>) -> Self {
        Self {
            shared,
            postmaster: None,
        }
    }

    /// RFC 5321 §4.5.1: `<Postmaster>` without a domain is always taken.
    async fn postmaster(&mut self) -> Reply {
        match self.shared.directory.postmaster().await {
            Ok(Some(mailbox)) => {
                self.postmaster = Some(mailbox);
                recipient_ok()
            }
            Ok(None) => refusal::no_postmaster(),
            Err(error) => {
                tracing::warn!(
                    error = service::one_line(&error),
                    "directory did not answer"
                );
                refusal::cannot_tell_now()
            }
        }
    }

    /// Only what the address says after its last `@` counts: source routes were dropped by the
    /// parser, and `%`, `!` and quoted `@` are ordinary characters of a local part that nobody has.
    async fn mailbox(&self, mailbox: &Mailbox, client: IpAddr) -> Reply {
        match self.shared.directory.lookup(mailbox).await {
            Ok(Lookup::Mailbox) => recipient_ok(),
            Ok(Lookup::Unknown) => refusal::unknown_user(mailbox),
            Ok(Lookup::Disabled) => refusal::disabled_user(mailbox),
            Ok(Lookup::NotLocal) if self.may_relay(client) => recipient_ok(),
            Ok(Lookup::NotLocal) => refusal::relaying_denied(mailbox),
            Err(error) => {
                tracing::warn!(
                    error = service::one_line(&error),
                    "directory did not answer"
                );
                refusal::cannot_tell_now()
            }
        }
    }

    fn may_relay(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.shared
            .relay_networks
            .iter()
            .any(|network| network.contains(&client))
    }

    fn recipients(&self, envelope: &Envelope) -> Vec<Mailbox> {
        let mailbox = |recipient: &Recipient| match &recipient.path {
            ForwardPath::Mailbox(mailbox) => Some(mailbox.clone()),
            ForwardPath::Postmaster => self.postmaster.clone(),
        };
        envelope.recipients.iter().filter_map(mailbox).collect()
    }
}

impl Handler for InboundSession {
    async fn greet(&mut self, _session: &SessionInfo) -> Reply {
        Reply::new(smtp::ReplyCode::READY, None, "ESMTP Chasqui")
    }

    async fn mail(&mut self, _mail: &Mail, _session: &SessionInfo) -> Reply {
        self.shared.acceptor.producer.expect_message();
        Reply::new(
            smtp::ReplyCode::OK,
            EnhancedStatus::new(2, 1, 0),
            "Sender ok",
        )
    }

    async fn rcpt(
        &mut self,
        recipient: &Recipient,
        _envelope: &Envelope,
        session: &SessionInfo,
    ) -> Reply {
        match &recipient.path {
            ForwardPath::Postmaster => self.postmaster().await,
            ForwardPath::Mailbox(mailbox) => self.mailbox(mailbox, session.peer.ip()).await,
        }
    }

    async fn accept(
        &mut self,
        envelope: Envelope,
        content: Content,
        session: &SessionInfo,
    ) -> Vec<Reply> {
        let hops = message::trace::received_hops(content.bytes());
        if hops > self.shared.max_hops {
            return vec![refusal::too_many_hops(hops, self.shared.max_hops)];
        }
        let arrival = Arrival {
            recipients: self.recipients(&envelope),
            reverse_path: envelope.reverse_path,
            content: content.into_bytes(),
            session,
        };
        vec![self.shared.acceptor.accept(arrival).await]
    }
}

fn recipient_ok() -> Reply {
    Reply::new(
        smtp::ReplyCode::OK,
        EnhancedStatus::new(2, 1, 5),
        "Recipient ok",
    )
}
