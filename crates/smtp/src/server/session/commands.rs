//! Commands in their sequence (RFC 5321 §4.1.4): each is refused, done, or raised as a question.

use bytes::BytesMut;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Phase, Question, Session, Transaction};
use crate::envelope::Recipient;
use crate::extension::Mechanism;
use crate::reply::Reply;
use crate::server::auth::{Exchange, Step};
use crate::server::command::Command;
use crate::server::line::LineError;
use crate::server::{AuthOffer, Dialect, Event, Hello, HelloVerb, Mail, replies};

/// Whether a line is an AUTH command, which has its own length limit and may bear a password.
pub(super) fn is_auth(line: &[u8]) -> bool {
    line.split_first_chunk::<5>()
        .is_some_and(|(verb, _)| verb.eq_ignore_ascii_case(b"AUTH "))
}

impl Session {
    /// Takes one line off the input, if a whole one is there.
    pub(super) fn step_line(&mut self) -> bool {
        let limit = self.line_limit();
        match self.lines.next(&mut self.input, limit) {
            None => return false,
            Some(Err(error)) => {
                // A line that cannot be read also ends an AUTH exchange.
                let phase = std::mem::replace(&mut self.phase, Phase::Command);
                self.refuse(&match (phase, error) {
                    (Phase::Auth(_), LineError::TooLong) => replies::auth_line_too_long(),
                    _ => error.reply(),
                });
            }
            Some(Ok(line)) => self.take_line(line),
        }
        true
    }

    fn take_line(&mut self, mut line: BytesMut) {
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Auth(exchange) => {
                let step = exchange.respond(&line);
                line.zeroize();
                self.take_auth_step(step);
            }
            _ => {
                let command = std::str::from_utf8(&line)
                    .map_err(|_| replies::bad_line("Commands must be ASCII"))
                    .and_then(|text| Command::parse(text, self.config.dialect));
                if is_auth(&line) {
                    line.zeroize();
                }
                match command {
                    Ok(command) => self.obey(command),
                    Err(reply) => self.refuse(&reply),
                }
            }
        }
    }

    fn obey(&mut self, command: Command) {
        if self.refused && command != Command::Quit {
            return self.refuse(&Reply::bad_sequence("No service here, only QUIT"));
        }
        match command {
            Command::Hello(hello) => {
                self.ask(Question::Hello(hello.clone()), Event::Hello(hello));
            }
            Command::StartTls => self.take_start_tls(),
            Command::Auth { mechanism, initial } => self.take_auth(&mechanism, initial),
            Command::Mail(mail) => self.take_mail(mail),
            Command::Rcpt(recipient) => self.take_rcpt(recipient),
            Command::Data => self.take_data(),
            Command::Vrfy(argument) => self.ask(Question::Vrfy, Event::Vrfy(argument)),
            Command::Rset => {
                self.reset();
                self.say(&Reply::ok("Reset"));
            }
            Command::Noop => self.say(&Reply::ok("OK")),
            Command::Help => self.say(&replies::help()),
            Command::Quit => {
                self.quit = true;
                self.close_with(&replies::closing(&self.config.host_name));
            }
        }
    }

    /// RFC 3207 §4. What the client sent behind the command is never read.
    fn take_start_tls(&mut self) {
        if self.tls {
            return self.refuse(&Reply::bad_sequence("TLS is already active"));
        }
        if !self.config.start_tls {
            return self.refuse(&replies::not_implemented("STARTTLS is not available"));
        }
        self.reset();
        self.say(&replies::start_tls());
        self.input = BytesMut::new();
        self.phase = Phase::Handshake;
        self.events.push_back(Event::StartTls);
    }

    fn take_auth(&mut self, mechanism: &str, initial: Option<Zeroizing<String>>) {
        if let Err(reply) = self.check_auth() {
            return self.refuse(&reply);
        }
        let step = Mechanism::parse(mechanism)
            .ok_or_else(replies::unknown_mechanism)
            .and_then(|known| Exchange::start(known, initial.as_deref().map(String::as_str)));
        self.take_auth_step(step);
    }

    /// Whether AUTH is in order here (RFC 4954 §4).
    fn check_auth(&self) -> Result<(), Reply> {
        if self.config.auth == AuthOffer::Never {
            return Err(replies::not_implemented("AUTH is not available"));
        }
        if !self.tls {
            return Err(replies::encryption_required(self.config.start_tls));
        }
        let has_extensions = |hello: &Hello| hello.verb != HelloVerb::Helo;
        if !self.hello.as_ref().is_some_and(has_extensions) {
            return Err(self.hello_first());
        }
        if self.login.is_some() {
            return Err(Reply::bad_sequence("Already authenticated"));
        }
        if self.envelope().is_some() {
            return Err(Reply::bad_sequence("No AUTH within a transaction"));
        }
        Ok(())
    }

    fn take_auth_step(&mut self, step: Result<Step, Reply>) {
        match step {
            Err(reply) => self.refuse(&reply),
            Ok(Step::Challenge(exchange, challenge)) => {
                self.say(&challenge);
                self.phase = Phase::Auth(exchange);
            }
            Ok(Step::Complete(credentials)) => {
                let login = credentials.login.clone();
                self.ask(Question::Auth { login }, Event::Auth(credentials));
            }
        }
    }

    fn take_mail(&mut self, mail: Mail) {
        if self.hello.is_none() {
            return self.refuse(&self.hello_first());
        }
        if self.envelope().is_some() {
            return self.refuse(&Reply::bad_sequence("Nested MAIL command"));
        }
        let limit = self.config.max_message_size;
        if mail.parameters.size.is_some_and(|size| size > limit) {
            self.transaction = Transaction::Refused;
            return self.say(&replies::too_big(limit));
        }
        self.ask(Question::Mail(mail.clone()), Event::Mail(mail));
    }

    fn take_rcpt(&mut self, recipient: Recipient) {
        let Some(envelope) = self.envelope() else {
            return self.refuse_without_mail();
        };
        if envelope.recipients.len() >= self.config.max_recipients {
            return self.say(&replies::too_many_recipients());
        }
        self.ask(Question::Rcpt(recipient.clone()), Event::Rcpt(recipient));
    }

    fn take_data(&mut self) {
        let Some(envelope) = self.envelope() else {
            return self.refuse_without_mail();
        };
        if envelope.recipients.is_empty() {
            // No fault of a client that pipelined DATA behind recipients that were refused.
            return self.say(&replies::no_recipients(self.config.dialect));
        }
        self.ask(Question::Data, Event::Data);
    }

    fn refuse_without_mail(&mut self) {
        let reply = Reply::bad_sequence("Need MAIL command first");
        match self.transaction {
            Transaction::Refused => self.say(&reply),
            _ => self.refuse(&reply),
        }
    }

    fn hello_first(&self) -> Reply {
        Reply::bad_sequence(match self.config.dialect {
            Dialect::Smtp => "Send EHLO first",
            Dialect::Lmtp => "Send LHLO first",
        })
    }
}
