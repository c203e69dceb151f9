//! One client's connection: moves octets between socket and session, questions to the handler.
//!
//! Invariants: nothing is read while a question is open; a question is never cancelled; no other
//! wait is without a deadline.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use smtp::server::{Config, Event, Session};
use smtp::{EnhancedStatus, Envelope, Reply, ReplyCode};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::budget::Budget;
use crate::certificate::ReloadingTls;
use crate::content::Collector;
use crate::handler::{Handler, SessionInfo};
use crate::metrics;
use crate::wire::{Received, Wire};

/// How long a client may take to hear our last words.
const FAREWELL: Duration = Duration::from_secs(10);

/// How a shutdown reaches a connection.
#[derive(Clone)]
pub(crate) struct Stop {
    /// Finish what has begun, then close. The connection's own child of the service's token.
    pub(crate) drain: CancellationToken,
    /// Close as soon as no question is open.
    pub(crate) abandon: CancellationToken,
}

/// Why a connection ended before the session was through.
#[derive(Debug, Error)]
enum Lost {
    #[error("the client closed the connection")]
    ByClient,
    #[error(transparent)]
    Failed(#[from] io::Error),
    #[error("the time to drain is over")]
    Abandoned,
}

/// Everything but the handler that a connection starts with.
pub(crate) struct Setup {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) config: Arc<Config>,
    pub(crate) tls: Option<ReloadingTls>,
    pub(crate) implicit_tls: bool,
    pub(crate) budget: Budget,
    pub(crate) stop: Stop,
}

pub(crate) struct Connection<H> {
    wire: Wire,
    session: Session,
    handler: H,
    info: SessionInfo,
    content: Collector,
    tls: Option<ReloadingTls>,
    stop: Stop,
    draining: bool,
}

impl<H: Handler> Connection<H> {
    /// Serves a client to its end.
    pub(crate) async fn serve(setup: Setup, make_handler: impl FnOnce(&SessionInfo) -> H) {
        let mut info = SessionInfo {
            peer: setup.peer,
            local: setup.local,
            tls: None,
            hello: None,
            login: None,
        };
        let mut wire = Wire::new(setup.stream);
        if setup.implicit_tls {
            let deadline = Instant::now() + setup.config.timeouts.handshake;
            let shaken = Box::pin(shake_hands(&mut wire, setup.tls.as_ref(), deadline));
            match or_abandoned(shaken, &setup.stop).await {
                Ok(tls) => info.tls = tls,
                Err(lost) => return log_end(&info, Err(lost)),
            }
        }
        let now = Instant::now();
        let connection = Self {
            wire,
            session: Session::new(setup.config, setup.implicit_tls, now),
            handler: make_handler(&info),
            content: Collector::new(setup.budget, info.peer.ip()),
            info,
            tls: setup.tls,
            stop: setup.stop,
            draining: false,
        };
        connection.run().await;
    }

    async fn run(mut self) {
        let ended = self.converse().await;
        let is_polite = ended.is_ok();
        log_end(&self.info, ended);
        self.handler.closed(&self.info);
        if !is_polite {
            return;
        }
        let has_quit = self.session.has_quit();
        let wire = self.into_wire();
        if has_quit {
            wire.close_after_quit().await;
        } else {
            wire.close().await;
        }
    }

    /// Gives up all else: the handler's and the session's memory need not wait for the client's
    /// last octets.
    fn into_wire(self) -> Wire {
        self.wire
    }

    /// The loop: all events there are, one write for all that came of them, one read.
    async fn converse(&mut self) -> Result<(), Lost> {
        loop {
            while let Some(event) = self.session.next_event() {
                match event {
                    Event::Content(piece) => self.collect(piece).await,
                    Event::ContentRejected | Event::Reset => self.forget_transaction(),
                    Event::StartTls => {
                        self.flush(self.patience()).await?;
                        Box::pin(self.start_tls()).await?;
                    }
                    Event::Close => return self.flush(FAREWELL).await,
                    // Boxed, lest an idle connection hold the room of the largest question; and that
                    // one apart, lest the small ones be as large.
                    Event::ContentEnd(envelope) => Box::pin(self.hand_over(envelope)).await,
                    question => Box::pin(self.ask(question)).await,
                }
            }
            self.flush(self.patience()).await?;
            self.listen().await?;
        }
    }

    /// Puts a question to the handler, and its answer to the session.
    async fn ask(&mut self, question: Event) {
        let (handler, info) = (&mut self.handler, &self.info);
        let reply = match question {
            Event::Greet => handler.greet(info).await,
            Event::Hello(hello) => handler.hello(&hello, info).await,
            Event::Auth(credentials) => handler.auth(credentials, info).await,
            Event::Mail(mail) => handler.mail(&mail, info).await,
            Event::Vrfy(argument) => handler.vrfy(&argument, info).await,
            Event::Rcpt(recipient) => match self.session.envelope() {
                Some(envelope) => handler.rcpt(&recipient, envelope, info).await,
                None => no_transaction(),
            },
            Event::Data => match self.session.envelope() {
                Some(envelope) => handler.data(envelope, info).await,
                None => no_transaction(),
            },
            // Not questions for this.
            Event::ContentEnd(_)
            | Event::StartTls
            | Event::Content(_)
            | Event::ContentRejected
            | Event::Reset
            | Event::Close => return,
        };
        self.session.answer(reply);
        self.note_names();
    }

    /// Puts the whole message to the handler, and its answers to the session.
    async fn hand_over(&mut self, envelope: Envelope) {
        let content = self.content.finish();
        let replies = self.handler.accept(envelope, content, &self.info).await;
        self.session.answer_each(replies);
    }

    /// Keeps what is told to the handler in step with the session.
    fn note_names(&mut self) {
        if self.info.hello.as_ref() != self.session.hello() {
            self.info.hello = self.session.hello().cloned();
        }
        if self.info.login.as_deref() != self.session.login() {
            self.info.login = self.session.login().map(str::to_owned);
        }
    }

    async fn collect(&mut self, piece: Bytes) {
        if let Err(over) = self.content.push(piece).await {
            tracing::warn!(peer = %self.info.peer, %over, "message refused");
            self.session.reject_content(Reply::new(
                ReplyCode::INSUFFICIENT_STORAGE,
                EnhancedStatus::new(4, 3, 1),
                "Not enough memory for this message now, try again later",
            ));
            self.forget_transaction();
        }
    }

    fn forget_transaction(&mut self) {
        self.content.discard();
        self.handler.reset();
    }

    /// How long the client may take to read our replies.
    fn patience(&self) -> Duration {
        self.session.config().timeouts.command
    }

    async fn flush(&mut self, patience: Duration) -> Result<(), Lost> {
        if !self.session.has_output() {
            return Ok(());
        }
        let output = self.session.take_output();
        let sent = self.wire.send(&output, Instant::now() + patience);
        or_abandoned(sent, &self.stop).await
    }

    /// Waits for the client, its deadline, or a shutdown.
    async fn listen(&mut self) -> Result<(), Lost> {
        let now = Instant::now();
        if !self.draining && self.stop.drain.is_cancelled() {
            self.drain(now);
            return Ok(());
        }
        // The time that an answer took was ours, not the client's.
        self.session.feed(&[], now);
        let deadline = self.session.deadline();
        let Self { wire, session, .. } = self;
        let received = wire.receive(deadline, |octets| session.feed(octets, Instant::now()));
        let received = tokio::select! {
            biased;
            received = received => received?,
            () = self.stop.drain.cancelled(), if !self.draining => {
                self.drain(Instant::now());
                return Ok(());
            }
            () = self.stop.abandon.cancelled(), if self.draining => return Err(Lost::Abandoned),
        };
        match received {
            Received::Octets => {}
            Received::End => {
                self.session.disconnected();
                self.forget_transaction();
                return Err(Lost::ByClient);
            }
            Received::Deadline => self.session.timed_out(Instant::now()),
        }
        Ok(())
    }

    fn drain(&mut self, now: Instant) {
        self.draining = true;
        self.session.shutdown(now);
    }

    async fn start_tls(&mut self) -> Result<(), Lost> {
        let handshake = shake_hands(&mut self.wire, self.tls.as_ref(), self.session.deadline());
        self.info.tls = or_abandoned(handshake, &self.stop).await?;
        self.session.tls_established(Instant::now());
        self.note_names();
        Ok(())
    }
}

async fn shake_hands(
    wire: &mut Wire,
    tls: Option<&ReloadingTls>,
    deadline: Instant,
) -> io::Result<Option<crate::TlsInfo>> {
    let tls = tls.ok_or_else(|| io::Error::other("no certificate is configured"))?;
    let shaken = wire.accept_tls(tls.config(), deadline).await;
    metrics::shaken("server", &shaken);
    shaken.map(Some)
}

/// Waits, but not beyond the time to drain.
async fn or_abandoned<T>(
    wait: impl Future<Output = io::Result<T>>,
    stop: &Stop,
) -> Result<T, Lost> {
    tokio::select! {
        biased;
        done = wait => Ok(done?),
        () = stop.abandon.cancelled() => Err(Lost::Abandoned),
    }
}

fn no_transaction() -> Reply {
    Reply::bad_sequence("Need MAIL command first")
}

fn log_end(info: &SessionInfo, ended: Result<(), Lost>) {
    match ended {
        Ok(()) => tracing::debug!(peer = %info.peer, "session closed"),
        Err(lost) => tracing::debug!(peer = %info.peer, %lost, "connection lost"),
    }
}
