//! The client session: replies and time in, commands and events out.

mod authentication;
mod opening;

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use self::authentication::Response;
use self::opening::Verb;
use super::transaction::{Progress, Step};
use super::{Config, Ending, Event, NotBegun, NotReady, ProtocolError, Stage, Transaction};
use crate::envelope::Body;
use crate::extension::Extensions;
use crate::reply::{Reply, ReplyCode};
use crate::reply_parser::ReplyParser;

/// Lines kept of a reply other than to EHLO.
const REPLY_LINES: usize = 8;
/// Octets kept of each of these lines (RFC 5321 §4.5.3.1.5: 512, with code and CR LF).
const REPLY_LINE: usize = 512;

#[derive(Debug)]
enum State {
    Greeting,
    Hello(Verb),
    StartTls,
    /// Whatever comes in now is plaintext that must never be looked at (RFC 3207 §4.2).
    Tls,
    Ready,
    /// Logging in; the response that waits to be asked for, if there is one.
    Auth(Option<Response>),
    Transaction(Progress),
    /// The opening was refused, at this stage.
    Refused(Stage),
    Quit,
    /// Over, since this stage.
    Closed(Stage),
}

/// A session with one server: any number of transactions, one after another.
///
/// It never blocks and has no clock. What it holds is bounded: less than one reply of input, one
/// group of commands of output, and the events not yet taken.
pub struct Session {
    config: Config,
    state: State,
    extensions: Extensions,
    tls: bool,
    /// Whether the server may still remember a transaction that no final dot ended.
    needs_reset: bool,
    parser: ReplyParser,
    input: BytesMut,
    output: BytesMut,
    events: VecDeque<Event>,
    deadline: Option<Instant>,
}

impl Session {
    /// A session on a fresh connection, which waits for the greeting. `tls` says whether the
    /// connection is in TLS from the start.
    #[must_use]
    pub fn new(config: Config, tls: bool, now: Instant) -> Self {
        let mut session = Self {
            config,
            state: State::Greeting,
            extensions: Extensions::default(),
            tls,
            needs_reset: false,
            parser: ReplyParser::new(),
            input: BytesMut::new(),
            output: BytesMut::new(),
            events: VecDeque::new(),
            deadline: None,
        };
        session.wait_for_server(now);
        session
    }

    /// Takes bytes from the server.
    pub fn feed(&mut self, bytes: &[u8], now: Instant) {
        if self.is_listening() {
            self.input.extend_from_slice(bytes);
        }
        while self.is_listening() {
            match self.parser.parse(&mut self.input) {
                Ok(Some(reply)) => self.reply(reply, now),
                Ok(None) => return,
                Err(error) => self.end(Ending::Protocol(error.into())),
            }
        }
        self.input.clear();
    }

    /// The next event, if there is any.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What is to be written to the server; empty if nothing is.
    #[must_use]
    pub fn take_output(&mut self) -> Bytes {
        self.output.split().freeze()
    }

    /// When the server must have answered. None while it is not its turn; while content is
    /// written, the driver watches over each write with
    /// [`Timeouts::data_block`](super::Timeouts::data_block).
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Ends the session if the deadline has passed.
    pub fn timed_out(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.end(Ending::TimedOut);
        }
    }

    /// The connection is closed or broken, in either direction. Feed first what can still be
    /// read: it may tell why.
    pub fn disconnected(&mut self) {
        self.end(Ending::Disconnected);
    }

    /// Gives up in whatever stage: nothing more is written, and an unfinished transaction is
    /// interrupted. Unless the final dot is out, the server takes nothing.
    pub fn abandon(&mut self) {
        self.output.clear();
        self.end(Ending::Abandoned);
    }

    /// The extensions that the server offers, as of the last EHLO.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Whether the session runs in TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether a transaction can begin.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// Whether the session is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    /// How far the session has come, or had come when it ended.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match &self.state {
            State::Greeting => Stage::Greeting,
            State::Hello(_) => Stage::Hello,
            State::StartTls => Stage::StartTls,
            State::Tls => Stage::Tls,
            State::Ready => Stage::Ready,
            State::Auth(_) => Stage::Auth,
            State::Transaction(progress) => progress.stage(),
            State::Quit => Stage::Quit,
            State::Refused(stage) | State::Closed(stage) => *stage,
        }
    }

    /// Asks for TLS (RFC 3207), when the session is ready and not in TLS yet. Leads to
    /// [`Event::StartTls`] or to [`Event::Refused`].
    ///
    /// # Errors
    /// [`NotReady`], with nothing changed.
    pub fn start_tls(&mut self, now: Instant) -> Result<(), NotReady> {
        if self.tls || !self.is_ready() {
            return Err(NotReady);
        }
        self.output.extend_from_slice(b"STARTTLS\r\n");
        self.enter(State::StartTls, now);
        Ok(())
    }

    /// The TLS handshake is done. All that was known of the server is forgotten, and the session
    /// starts over with EHLO (RFC 3207 §4.2).
    pub fn tls_established(&mut self, now: Instant) {
        if matches!(self.state, State::Tls) {
            self.tls = true;
            self.extensions = Extensions::default();
            self.needs_reset = false;
            self.open(now);
        }
    }

    /// Begins a transaction: leads to [`Event::SendContent`] if anyone is to get the content, and
    /// to [`Event::TransactionDone`] in any case.
    ///
    /// # Errors
    /// Any [`NotBegun`], with nothing written and the session as it was.
    pub fn begin(&mut self, transaction: &Transaction<'_>, now: Instant) -> Result<(), NotBegun> {
        if !self.is_ready() {
            return Err(NotReady.into());
        }
        if transaction.recipients.is_empty() {
            return Err(NotBegun::NoRecipients);
        }
        if transaction.body == Body::EightBitMime && !self.extensions.eight_bit_mime() {
            return Err(NotBegun::Unsupported8Bit);
        }
        match self.extensions.max_message_size() {
            Some(limit) if transaction.size > limit => return Err(NotBegun::TooLarge { limit }),
            _ => {}
        }
        let progress = Progress::begin(
            transaction,
            self.config.dialect,
            &self.extensions,
            self.needs_reset,
            &mut self.output,
        );
        self.needs_reset = true;
        self.enter(State::Transaction(progress), now);
        Ok(())
    }

    /// All content is written, or queued in front of [`Session::take_output`], which now gives
    /// the final dot: from here on the server may take the message. If the session ended
    /// meanwhile, nothing happens and no dot is written.
    pub fn content_sent(&mut self, now: Instant) {
        if let State::Transaction(progress) = &mut self.state
            && progress.stage() == Stage::Content
        {
            progress.content_sent(&mut self.output);
            self.wait_for_server(now);
        }
    }

    /// Takes leave with QUIT, if the session is at rest; in the middle of something it is
    /// abandoned. Leads to [`Event::Closed`].
    pub fn quit(&mut self, now: Instant) {
        match self.state {
            State::Ready | State::Refused(_) => {
                self.output.extend_from_slice(b"QUIT\r\n");
                self.enter(State::Quit, now);
            }
            State::Quit | State::Closed(_) => {}
            _ => self.abandon(),
        }
    }

    fn is_listening(&self) -> bool {
        !matches!(self.state, State::Tls | State::Closed(_))
    }

    fn enter(&mut self, state: State, now: Instant) {
        self.state = state;
        self.wait_for_server(now);
    }

    /// Gives the server its time for what it owes now.
    fn wait_for_server(&mut self, now: Instant) {
        self.deadline = match self.state {
            State::Refused(_) | State::Closed(_) => None,
            _ => {
                let wait = self.config.timeouts.at(self.stage());
                wait.and_then(|wait| now.checked_add(wait))
            }
        };
    }

    fn reply(&mut self, reply: Reply, now: Instant) {
        if let State::Hello(verb) = self.state {
            return self.answer_hello(verb, reply, now);
        }
        let reply = shortened(reply);
        match self.state {
            State::Greeting => self.answer_greeting(reply, now),
            State::StartTls => self.answer_start_tls(reply, now),
            State::Auth(_) => self.answer_auth(reply, now),
            State::Transaction(_) => self.answer_transaction(reply, now),
            State::Quit => self.end(Ending::Quit),
            State::Ready | State::Refused(_) => {
                if reply.code == ReplyCode::UNAVAILABLE {
                    self.end(Ending::ByServer(reply));
                } else {
                    self.end(Ending::Protocol(ProtocolError::Unsolicited(reply)));
                }
            }
            State::Hello(_) | State::Tls | State::Closed(_) => {}
        }
    }

    fn answer_transaction(&mut self, reply: Reply, now: Instant) {
        let State::Transaction(progress) = &mut self.state else {
            return;
        };
        let stage = progress.stage();
        let is_early_refusal =
            stage == Stage::Content && (reply.code.is_transient() || reply.code.is_permanent());
        if reply.code == ReplyCode::UNAVAILABLE || is_early_refusal {
            progress.refuse_rest(stage, &reply);
            return self.end(Ending::ByServer(reply));
        }
        match progress.reply(reply, &mut self.output) {
            Ok(Step::Wait) => self.wait_for_server(now),
            Ok(Step::SendContent) => {
                self.wait_for_server(now);
                self.events.push_back(Event::SendContent);
            }
            Ok(Step::Done) => {
                self.needs_reset = !progress.was_ended_by_dot();
                // Everyone is decided: the ending is nobody's.
                self.finish_transaction(stage, &Ending::Abandoned);
                self.enter(State::Ready, now);
            }
            Err(error) => self.end_at(stage, Ending::Protocol(error)),
        }
    }

    fn finish_transaction(&mut self, stage: Stage, ending: &Ending) {
        if let State::Transaction(progress) = std::mem::replace(&mut self.state, State::Ready) {
            let result = progress.into_result(stage, ending);
            self.events.push_back(Event::TransactionDone(result));
        }
    }

    fn end(&mut self, ending: Ending) {
        self.end_at(self.stage(), ending);
    }

    fn end_at(&mut self, stage: Stage, ending: Ending) {
        if self.is_closed() {
            return;
        }
        self.finish_transaction(stage, &ending);
        self.state = State::Closed(stage);
        self.deadline = None;
        self.output.clear();
        self.events.push_back(Event::Closed { stage, ending });
    }
}

/// Without what is about to be written, which may be a password.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("config", &self.config)
            .field("state", &self.state)
            .field("extensions", &self.extensions)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// What is kept of a reply, for it is kept for each recipient: at most [`REPLY_LINES`] lines and
/// [`REPLY_LINE`] octets of each.
fn shortened(mut reply: Reply) -> Reply {
    reply.lines.truncate(REPLY_LINES);
    for line in &mut reply.lines {
        line.truncate(line.floor_char_boundary(REPLY_LINE));
    }
    reply
}
