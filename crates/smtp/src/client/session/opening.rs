//! From the greeting to a session that is ready, and once more after STARTTLS.

use std::time::Instant;

use super::{Event, Session, State, shortened};
use crate::client::{Dialect, Ending, ProtocolError, Stage};
use crate::extension::Extensions;
use crate::reply::{Reply, ReplyCode};

/// How the session introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Ehlo,
    Helo,
    Lhlo,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ehlo => "EHLO",
            Self::Helo => "HELO",
            Self::Lhlo => "LHLO",
        }
    }
}

impl Session {
    pub(super) fn answer_greeting(&mut self, reply: Reply, now: Instant) {
        if reply.code.is_positive_completion() {
            self.open(now);
        } else {
            self.refuse_opening(Stage::Greeting, reply, now);
        }
    }

    pub(super) fn open(&mut self, now: Instant) {
        self.say_hello(
            match self.config.dialect {
                Dialect::Smtp => Verb::Ehlo,
                Dialect::Lmtp => Verb::Lhlo,
            },
            now,
        );
    }

    fn say_hello(&mut self, verb: Verb, now: Instant) {
        let line = format!("{} {}\r\n", verb.as_str(), self.config.hello_name);
        self.output.extend_from_slice(line.as_bytes());
        self.enter(State::Hello(verb), now);
    }

    /// A server that does not know EHLO is asked again with HELO (RFC 5321 §3.2).
    pub(super) fn answer_hello(&mut self, verb: Verb, reply: Reply, now: Instant) {
        if reply.code.is_positive_completion() {
            if verb != Verb::Helo {
                self.extensions = Extensions::from_reply(&reply);
            }
            self.enter(State::Ready, now);
            self.events.push_back(Event::Ready(self.extensions.clone()));
        } else if verb == Verb::Ehlo && reply.code.is_permanent() {
            self.say_hello(Verb::Helo, now);
        } else {
            self.refuse_opening(Stage::Hello, shortened(reply), now);
        }
    }

    /// The session cannot be opened; a 421 also ends it.
    fn refuse_opening(&mut self, stage: Stage, reply: Reply, now: Instant) {
        if reply.code.is_intermediate() {
            return self.end(Ending::Protocol(ProtocolError::Unexpected(reply)));
        }
        self.enter(State::Refused(stage), now);
        self.refused(stage, reply);
    }

    pub(super) fn answer_start_tls(&mut self, reply: Reply, now: Instant) {
        if reply.code == ReplyCode::READY {
            self.enter(State::Tls, now);
            self.events.push_back(Event::StartTls);
        } else if reply.code.is_transient() || reply.code.is_permanent() {
            self.enter(State::Ready, now);
            self.refused(Stage::StartTls, reply);
        } else {
            self.end(Ending::Protocol(ProtocolError::Unexpected(reply)));
        }
    }

    pub(super) fn refused(&mut self, stage: Stage, reply: Reply) {
        let is_last = reply.code == ReplyCode::UNAVAILABLE;
        let ending = is_last.then(|| Ending::ByServer(reply.clone()));
        self.events.push_back(Event::Refused { stage, reply });
        if let Some(ending) = ending {
            self.end_at(stage, ending);
        }
    }
}
