//! A service that takes every message, and remembers it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use smtp::server::{AuthOffer, Config, Credentials, Dialect, Mail, Timeouts};
use smtp::{Envelope, Recipient, Reply};
use smtp_net::{
    Budget, Content, Handler, Listener, ListenerOptions, ListenerTls, ReloadingTls, SessionInfo,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::certificates::HOST;
use crate::soon;

/// A message that was taken.
pub(crate) struct Taken {
    pub(crate) envelope: Envelope,
    pub(crate) content: Bytes,
    pub(crate) session: SessionInfo,
}

pub(crate) struct Options {
    pub(crate) config: Config,
    pub(crate) listener: ListenerOptions,
    pub(crate) budget: Budget,
    /// Whether messages wait for [`Service::let_accept`] before they are taken.
    pub(crate) held: bool,
}

impl Options {
    pub(crate) fn plain() -> Self {
        Self::new(ListenerTls::None)
    }

    pub(crate) fn start_tls(tls: &ReloadingTls) -> Self {
        Self::new(ListenerTls::StartTls(tls.clone()))
    }

    pub(crate) fn new(tls: ListenerTls) -> Self {
        let mut config = Config::new(Dialect::Smtp, HOST);
        config.auth = AuthOffer::AfterTls;
        Self {
            config,
            listener: ListenerOptions::new(tls),
            budget: Budget::new(64 << 20, 64 << 20),
            held: false,
        }
    }

    pub(crate) fn with_timeouts(mut self, change: impl FnOnce(&mut Timeouts)) -> Self {
        change(&mut self.config.timeouts);
        self
    }

    pub(crate) fn with_drain_deadline(mut self, deadline: Duration) -> Self {
        self.listener.drain_deadline = deadline;
        self
    }

    pub(crate) fn with_held_messages(mut self) -> Self {
        self.held = true;
        self
    }
}

pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) budget: Budget,
    taken: mpsc::UnboundedReceiver<Taken>,
    /// One for each message that waits to be accepted.
    arrived: mpsc::UnboundedReceiver<()>,
    gate: Arc<Semaphore>,
    shutdown: CancellationToken,
    served: JoinHandle<()>,
}

impl Service {
    pub(crate) fn start(options: Options) -> Self {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(any_port, options.listener).unwrap();
        let address = listener.local_addr();
        let (taker, taken) = mpsc::unbounded_channel();
        let (announcer, arrived) = mpsc::unbounded_channel();
        let open = if options.held { 0 } else { 1 << 20 };
        let gate = Arc::new(Semaphore::new(open));
        let shutdown = CancellationToken::new();
        let recorder = Recorder {
            taker,
            announcer,
            gate: Arc::clone(&gate),
        };
        let served = tokio::spawn(listener.serve(
            Arc::new(options.config),
            options.budget.clone(),
            move |_| recorder.clone(),
            shutdown.clone(),
        ));
        Self {
            address,
            budget: options.budget,
            taken,
            arrived,
            gate,
            shutdown,
            served,
        }
    }

    /// The next message taken.
    pub(crate) async fn taken(&mut self) -> Taken {
        soon(self.taken.recv()).await.unwrap()
    }

    pub(crate) fn has_taken_nothing(&mut self) -> bool {
        self.taken.try_recv().is_err()
    }

    /// Waits until a message is before the gate.
    pub(crate) async fn arrived(&mut self) {
        soon(self.arrived.recv()).await.unwrap();
    }

    /// Lets one held message be taken.
    pub(crate) fn let_accept(&self) {
        self.gate.add_permits(1);
    }

    pub(crate) fn shut_down(&self) {
        self.shutdown.cancel();
    }

    pub(crate) fn is_serving(&self) -> bool {
        !self.served.is_finished()
    }

    /// Waits until the last connection is gone.
    pub(crate) async fn ended(self) {
        soon(self.served).await.unwrap();
    }
}

#[derive(Clone)]
struct Recorder {
    taker: mpsc::UnboundedSender<Taken>,
    announcer: mpsc::UnboundedSender<()>,
    gate: Arc<Semaphore>,
}

impl Handler for Recorder {
    async fn greet(&mut self, _: &SessionInfo) -> Reply {
        Reply::new(220, None, "ESMTP")
    }

    async fn auth(&mut self, credentials: Credentials, _: &SessionInfo) -> Reply {
        match credentials.login.as_str() {
            "alice" => Reply::new(235, None, "Welcome"),
            _ => Reply::new(535, None, "Who are you?"),
        }
    }

    async fn mail(&mut self, _: &Mail, _: &SessionInfo) -> Reply {
        Reply::ok("Sender fine")
    }

    async fn rcpt(&mut self, recipient: &Recipient, before: &Envelope, _: &SessionInfo) -> Reply {
        let local_part = recipient.path.mailbox().map(|mailbox| mailbox.to_string());
        match local_part {
            Some(unknown) if unknown.starts_with("unknown") => {
                Reply::new(550, None, "No such user")
            }
            _ => Reply::ok(format!("Recipient {} fine", before.recipients.len() + 1)),
        }
    }

    async fn accept(
        &mut self,
        envelope: Envelope,
        content: Content,
        session: &SessionInfo,
    ) -> Vec<Reply> {
        let _ = self.announcer.send(());
        self.gate.acquire().await.unwrap().forget();
        let _ = self.taker.send(Taken {
            envelope,
            content: content.into_bytes(),
            session: session.clone(),
        });
        vec![Reply::ok("Taken")]
    }
}
