//! The server session: what a connection has come to, and the way in and out of it.

mod answering;
mod commands;
mod receiving;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use memchr::memchr;

use self::receiving::Receiving;
use super::auth::{self, Exchange};
use super::clock::{Awaiting, Clock};
use super::line::LineReader;
use super::{Config, Event, Hello, Mail, replies};
use crate::envelope::{Envelope, Recipient};
use crate::reply::Reply;

/// Above so many octets of unread input, no more is wanted.
const HIGH_WATER: usize = 64 * 1024;

/// One connection of a client, without I/O: bytes and time in, events and bytes out.
///
/// The driver calls [`feed`](Self::feed) with what it read, then [`next_event`](Self::next_event)
/// until there is none, answering questions on the way, then sends
/// [`take_output`](Self::take_output). It reads on only while [`wants_input`](Self::wants_input),
/// and no longer than until [`deadline`](Self::deadline).
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    phase: Phase,
    input: BytesMut,
    lines: LineReader,
    output: BytesMut,
    events: VecDeque<Event>,
    clock: Clock,
    tls: bool,
    hello: Option<Hello>,
    login: Option<String>,
    transaction: Transaction,
    errors: usize,
    auth_failures: usize,
    /// The greeting was a refusal: only QUIT is in order.
    refused: bool,
    quit: bool,
    draining: bool,
}

/// What the next input is taken for.
#[derive(Debug)]
enum Phase {
    /// Commands.
    Command,
    /// The next line of an AUTH exchange.
    Auth(Exchange),
    /// Content.
    Content(Receiving),
    /// Nothing yet: an event awaits its answer.
    Asked(Question),
    /// Nothing ever: what comes before the TLS handshake is dropped.
    Handshake,
    /// Nothing ever.
    Closed,
}

/// What was asked, with what the answer decides on.
#[derive(Debug)]
enum Question {
    Greet,
    Hello(Hello),
    Auth { login: String },
    Mail(Mail),
    Rcpt(Recipient),
    Vrfy,
    Data,
    ContentEnd { replies: usize },
}

/// From MAIL to the end of data (RFC 5321 §3.3).
#[derive(Debug)]
enum Transaction {
    /// None has begun.
    None,
    /// The last MAIL was refused. Recipients pipelined behind it are out of sequence, but no
    /// fault of the client.
    Refused,
    /// MAIL was accepted.
    Open(Envelope),
}

impl Session {
    /// A session with a client that has just connected. `tls` tells that TLS is already up
    /// (implicit TLS, RFC 8314 §3). The first event is [`Event::Greet`].
    #[must_use]
    pub fn new(config: Arc<Config>, tls: bool, now: Instant) -> Self {
        Self {
            config,
            phase: Phase::Asked(Question::Greet),
            input: BytesMut::new(),
            lines: LineReader::default(),
            output: BytesMut::new(),
            events: VecDeque::from([Event::Greet]),
            clock: Clock::new(now),
            tls,
            hello: None,
            login: None,
            transaction: Transaction::None,
            errors: 0,
            auth_failures: 0,
            refused: false,
            quit: false,
            draining: false,
        }
    }

    /// Takes what was read from the client. To be called while
    /// [`wants_input`](Self::wants_input); all of it is kept.
    ///
    /// Between STARTTLS and [`tls_established`](Self::tls_established), and at the end, everything
    /// is dropped. Feeding nothing is harmless; after an answer that took long it restarts the
    /// client's time.
    pub fn feed(&mut self, bytes: &[u8], now: Instant) {
        if matches!(self.phase, Phase::Handshake | Phase::Closed) {
            return;
        }
        let has_line_end = memchr(b'\n', bytes).is_some();
        self.clock.input(self.awaiting(), has_line_end, now);
        if self.input.is_empty() && self.input.capacity() < bytes.len() {
            // Exactly as large as needed: content keeps this buffer alive.
            self.input = BytesMut::from(bytes);
        } else {
            self.input.extend_from_slice(bytes);
        }
    }

    /// Whether the driver should read on. False while an answer is pending or enough is buffered:
    /// this is the back-pressure on the client.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        let reading = matches!(
            self.phase,
            Phase::Command | Phase::Auth(_) | Phase::Content(_)
        );
        reading && self.events.is_empty() && self.input.len() < HIGH_WATER
    }

    /// The next event, or none while there is too little input or an answer is pending.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if !self.step() {
                self.release_buffers();
                return None;
            }
        }
    }

    /// After the TLS handshake that followed [`Event::StartTls`]: the session starts anew, under
    /// TLS and without a greeting. All that was known or received before is dropped
    /// (RFC 3207 §4.2): it may have been put there by someone in the middle.
    pub fn tls_established(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Handshake) {
            return;
        }
        self.phase = Phase::Command;
        self.input = BytesMut::new();
        self.lines = LineReader::default();
        self.tls = true;
        self.hello = None;
        self.login = None;
        self.transaction = Transaction::None;
        self.clock.restart(now);
    }

    /// What to send to the client, which leaves none behind.
    #[must_use]
    pub fn take_output(&mut self) -> BytesMut {
        std::mem::take(&mut self.output)
    }

    /// Whether there is anything to send.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// When the client is late, and [`timed_out`](Self::timed_out) is to be called
    /// (RFC 5321 §4.5.3.2). While an answer is pending it is far away: the client is not late.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.clock.deadline(self.awaiting(), &self.config.timeouts)
    }

    /// The deadline passed: says 421 and closes. Does nothing if the deadline lies ahead.
    pub fn timed_out(&mut self, now: Instant) {
        if now < self.deadline() {
            return;
        }
        match self.phase {
            Phase::Asked(_) | Phase::Closed => {}
            // The client expects TLS; there is nothing to be said in plaintext.
            Phase::Handshake => self.close(),
            _ => self.close_with(&replies::timed_out(&self.config.host_name)),
        }
    }

    /// The service is about to stop: says 421 and closes at the next boundary between commands,
    /// so never within content, nor between its end and the reply.
    pub fn shutdown(&mut self, _now: Instant) {
        self.draining = true;
    }

    /// The connection is gone: the transaction, if any, is dropped, and the session closes.
    pub fn disconnected(&mut self) {
        self.input = BytesMut::new();
        self.output = BytesMut::new();
        self.close();
    }

    /// Whether TLS is up.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// How the client named itself, once it was accepted.
    #[must_use]
    pub fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// As whom the client is authenticated.
    #[must_use]
    pub fn login(&self) -> Option<&str> {
        self.login.as_deref()
    }

    /// The open transaction, with the recipients accepted so far. None from
    /// [`Event::ContentEnd`] or [`Event::ContentRejected`]'s reply on.
    #[must_use]
    pub fn envelope(&self) -> Option<&Envelope> {
        match &self.transaction {
            Transaction::Open(envelope) => Some(envelope),
            Transaction::None | Transaction::Refused => None,
        }
    }

    /// Whether the client has said QUIT, behind which it is to say nothing (RFC 5321 §4.1.1.10).
    #[must_use]
    pub fn has_quit(&self) -> bool {
        self.quit
    }

    /// The settings of this session.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }
}

impl Session {
    /// Takes one line or one run of content off the input. False when it has to wait.
    fn step(&mut self) -> bool {
        match &self.phase {
            Phase::Command | Phase::Auth(_) if self.draining => {
                self.close_with(&replies::shutting_down(&self.config.host_name));
                true
            }
            Phase::Command | Phase::Auth(_) => self.step_line(),
            Phase::Content(_) => self.step_content(),
            Phase::Asked(_) | Phase::Handshake | Phase::Closed => false,
        }
    }

    /// An idle session holds no buffer.
    fn release_buffers(&mut self) {
        if self.input.is_empty() && !matches!(self.phase, Phase::Content(_)) {
            self.input = BytesMut::new();
        }
    }

    fn awaiting(&self) -> Awaiting {
        match self.phase {
            Phase::Command | Phase::Auth(_) => Awaiting::Command,
            Phase::Content(_) => Awaiting::Content,
            Phase::Handshake => Awaiting::Handshake,
            Phase::Asked(_) | Phase::Closed => Awaiting::Nothing,
        }
    }

    /// The longest line accepted now, in octets with CR LF.
    fn line_limit(&self) -> usize {
        let in_auth = matches!(self.phase, Phase::Auth(_)) || commands::is_auth(&self.input);
        if in_auth {
            auth::MAX_LINE.max(self.config.max_command_line)
        } else {
            self.config.max_command_line
        }
    }

    fn say(&mut self, reply: &Reply) {
        reply.write_to(&mut self.output);
    }

    /// Raises an event and stops until it is answered.
    fn ask(&mut self, question: Question, event: Event) {
        self.phase = Phase::Asked(question);
        self.events.push_back(event);
    }

    /// Answers a bad command; too many of them end the session.
    fn refuse(&mut self, reply: &Reply) {
        self.say(reply);
        self.errors += 1;
        if self.errors >= self.config.max_errors {
            self.close_with(&replies::too_many_errors(&self.config.host_name));
        }
    }

    /// Ends the transaction; the driver hears of it if there was one.
    fn reset(&mut self) {
        let transaction = std::mem::replace(&mut self.transaction, Transaction::None);
        if matches!(transaction, Transaction::Open(_)) {
            self.events.push_back(Event::Reset);
        }
    }

    fn close_with(&mut self, reply: &Reply) {
        self.say(reply);
        self.close();
    }

    fn close(&mut self) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        self.reset();
        self.phase = Phase::Closed;
        self.input = BytesMut::new();
        self.events.push_back(Event::Close);
    }
}
