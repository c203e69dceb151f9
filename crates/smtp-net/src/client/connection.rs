//! An open client connection: what it is, and how its session is moved on.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use smtp::Extensions;
use smtp::client::{Event, Session, Timeouts};

use crate::tls::TlsInfo;
use crate::wire::{Received, Wire};

/// How long a server that closed the connection on us may take to tell why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long QUIT may take to leave when nobody waits for its reply.
const LEAVE: Duration = Duration::from_secs(1);

/// A connection to a server, ready for transactions, one after another.
///
/// Dropping it, or a future of one of its methods, ends the connection without a word: an
/// unfinished message is then not taken by the server.
pub struct ClientConnection {
    pub(super) wire: Wire,
    pub(super) session: Session,
    pub(super) timeouts: Timeouts,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) tls: Option<TlsInfo>,
    pub(super) transactions: u32,
}

impl ClientConnection {
    /// What the server offers.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        self.session.extensions()
    }

    /// What TLS settled; none in plaintext.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_ref()
    }

    /// The server's address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Our address.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// How many transactions were begun on this connection.
    #[must_use]
    pub fn transactions(&self) -> u32 {
        self.transactions
    }

    /// Whether another transaction can begin: the last one ended in order, and the server hasn't
    /// taken its leave since.
    #[must_use]
    pub fn is_reusable(&mut self) -> bool {
        self.session.is_ready() && self.wire.is_quiet()
    }

    /// Takes leave with QUIT and closes the connection. How the server takes it is of no interest;
    /// it has [`Timeouts::quit`] to do so.
    pub async fn quit(mut self) {
        self.session.quit(Instant::now());
        while self.next_event().await.is_some() {}
        self.wire.close_now().await;
    }

    /// Says QUIT, if the session is at a point where it can, and doesn't wait for the reply.
    pub(super) async fn leave(mut self) {
        self.session.quit(Instant::now());
        let farewell = self.session.take_output();
        if !farewell.is_empty()
            && self
                .wire
                .send(&farewell, Instant::now() + LEAVE)
                .await
                .is_ok()
        {
            self.wire.close_now().await;
        }
    }

    /// Writes what the session has to say and listens until it raises an event; none after the
    /// last.
    pub(super) async fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.session.next_event() {
                return Some(event);
            }
            if self.session.is_closed() {
                return None;
            }
            if let Err(error) = self.exchange().await {
                self.lost(&error);
            }
        }
    }

    /// Until when the server has time for what it owes now.
    pub(super) fn deadline(&self) -> Instant {
        self.session
            .deadline()
            .unwrap_or_else(|| Instant::now() + self.timeouts.data_block)
    }

    async fn exchange(&mut self) -> io::Result<()> {
        let deadline = self.deadline();
        let output = self.session.take_output();
        if !output.is_empty()
            && let Err(error) = self.wire.send(&output, deadline).await
        {
            self.hear_last_words().await;
            return Err(error);
        }
        match self.listen(deadline).await? {
            Received::Octets => {}
            Received::End => self.session.disconnected(),
            Received::Deadline => self.session.timed_out(Instant::now()),
        }
        Ok(())
    }

    pub(super) async fn listen(&mut self, deadline: Instant) -> io::Result<Received> {
        let session = &mut self.session;
        self.wire
            .receive(deadline, |octets| session.feed(octets, Instant::now()))
            .await
    }

    /// A server that closes the connection while we write may have said why before.
    pub(super) async fn hear_last_words(&mut self) {
        let deadline = Instant::now() + LAST_WORDS;
        while !self.session.is_closed()
            && matches!(self.listen(deadline).await, Ok(Received::Octets))
        {}
    }

    /// The connection failed; a session that timed out says so.
    pub(super) fn lost(&mut self, error: &io::Error) {
        tracing::debug!(peer = %self.peer, %error, "connection lost");
        self.session.timed_out(Instant::now());
        self.session.disconnected();
    }
}

impl fmt::Debug for ClientConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConnection")
            .field("peer", &self.peer)
            .field("local", &self.local)
            .field("tls", &self.tls)
            .field("transactions", &self.transactions)
            .finish_non_exhaustive()
    }
}
