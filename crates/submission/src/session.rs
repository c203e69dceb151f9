//! One client's session: answers its verbs by the policy, and hands its messages over.

use std::ops::ControlFlow;
use std::sync::Arc;

use smtp::server::{Credentials, Mail};
use smtp::{EnhancedStatus, Envelope, ForwardPath, Mailbox, Recipient, Reply, ReplyCode};
use smtp_net::{Content, Handler, SessionInfo};

use crate::accept::{Acceptor, Submission};
use crate::policy::{Decision, Identity, Policy};
use crate::refusal;

/// What all sessions share.
pub(crate) struct Shared {
    pub(crate) policy: Policy,
    pub(crate) acceptor: Acceptor,
}

/// The state of one session.
pub(crate) struct Session {
    shared: Arc<Shared>,
    /// Who logged in. It outlives EHLO; STARTTLS cannot follow it, since AUTH follows STARTTLS.
    identity: Option<Identity>,
    /// Whom `<Postmaster>` meant in this transaction.
    postmaster: Option<Mailbox>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            identity: None,
            postmaster: None,
        }
    }

    /// RFC 6409 §4.3: nothing is taken from whom we don't know.
    fn require_login(&self, session: &SessionInfo) -> Decision<&Identity> {
        match (&self.identity, &session.tls) {
            (Some(identity), _) => Decision::Continue(identity),
            (None, Some(_)) => Decision::Break(refusal::authentication_required()),
            (None, None) => Decision::Break(refusal::encryption_required()),
        }
    }

    async fn check_mail(&self, mail: &Mail, session: &SessionInfo) -> Decision {
        let identity = self.require_login(session)?;
        let policy = &self.shared.policy;
        policy
            .check_reverse_path(identity, &mail.reverse_path)
            .await
    }

    async fn check_rcpt(&mut self, recipient: &Recipient) -> Decision {
        let policy = &self.shared.policy;
        match &recipient.path {
            ForwardPath::Mailbox(mailbox) => policy.check_recipient(mailbox)?,
            ForwardPath::Postmaster => self.postmaster = Some(policy.postmaster().await?),
        }
        Decision::Continue(())
    }

    async fn check_data(&self, session: &SessionInfo) -> Decision {
        let identity = self.require_login(session)?;
        let policy = &self.shared.policy;
        policy.take_allowance(&identity.login.account)
    }

    async fn submit(
        &self,
        envelope: Envelope,
        content: Content,
        session: &SessionInfo,
    ) -> Decision<Reply> {
        let identity = self.require_login(session)?;
        let Shared { policy, acceptor } = &*self.shared;
        let content = content.into_bytes();
        policy
            .check_authors(identity, &envelope.reverse_path, &content)
            .await?;
        let submission = Submission {
            login: &identity.login,
            recipients: self.recipients(&envelope),
            reverse_path: envelope.reverse_path,
            content,
            session,
        };
        Decision::Continue(acceptor.accept(submission).await)
    }

    fn recipients(&self, envelope: &Envelope) -> Vec<Mailbox> {
        let mailbox = |recipient: &Recipient| match &recipient.path {
            ForwardPath::Mailbox(mailbox) => Some(mailbox.clone()),
            ForwardPath::Postmaster => self.postmaster.clone(),
        };
        envelope.recipients.iter().filter_map(mailbox).collect()
    }
}

impl Handler for Session {
    async fn greet(&mut self, _: &SessionInfo) -> Reply {
        Reply::new(ReplyCode::READY, None, "ESMTP Chasqui submission")
    }

    async fn auth(&mut self, credentials: Credentials, session: &SessionInfo) -> Reply {
        let client = session.peer.ip();
        match self.shared.policy.log_in(credentials, client).await {
            ControlFlow::Break(refusal) => refusal,
            ControlFlow::Continue(identity) => {
                self.identity = Some(identity);
                Reply::new(
                    ReplyCode::AUTHENTICATED,
                    EnhancedStatus::new(2, 7, 0),
                    "Authentication successful",
                )
            }
        }
    }

    async fn mail(&mut self, mail: &Mail, session: &SessionInfo) -> Reply {
        self.postmaster = None;
        match self.check_mail(mail, session).await {
            ControlFlow::Break(refusal) => refusal,
            ControlFlow::Continue(()) => {
                self.shared.acceptor.producer.expect_message();
                Reply::new(ReplyCode::OK, EnhancedStatus::new(2, 1, 0), "Sender OK")
            }
        }
    }

    async fn rcpt(&mut self, recipient: &Recipient, _: &Envelope, _: &SessionInfo) -> Reply {
        match self.check_rcpt(recipient).await {
            ControlFlow::Break(refusal) => refusal,
            ControlFlow::Continue(()) => {
                Reply::new(ReplyCode::OK, EnhancedStatus::new(2, 1, 5), "Recipient OK")
            }
        }
    }

    async fn data(&mut self, _: &Envelope, session: &SessionInfo) -> Reply {
        match self.check_data(session).await {
            ControlFlow::Break(refusal) => refusal,
            ControlFlow::Continue(()) => Reply::start_mail_input(),
        }
    }

    async fn accept(
        &mut self,
        envelope: Envelope,
        content: Content,
        session: &SessionInfo,
    ) -> Vec<Reply> {
        match self.submit(envelope, content, session).await {
            ControlFlow::Break(reply) | ControlFlow::Continue(reply) => vec![reply],
        }
    }
}
