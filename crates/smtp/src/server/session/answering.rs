//! Answers to questions, and what follows from them.

use super::receiving::Receiving;
use super::{Phase, Question, Session, Transaction};
use crate::envelope::{Envelope, Recipient};
use crate::extension::{Extension, Mechanism};
use crate::reply::{Reply, ReplyCode};
use crate::server::{AuthOffer, Dialect, Event, Hello, HelloVerb, Mail, replies};

impl Session {
    /// Answers the pending question. In LMTP the answer to [`Event::ContentEnd`] is given once per
    /// recipient. Without a pending question it does nothing.
    pub fn answer(&mut self, reply: Reply) {
        let Some(question) = self.take_question() else {
            return;
        };
        match question {
            Question::Greet => self.answer_greet(reply),
            Question::Hello(hello) => self.answer_hello(hello, reply),
            Question::Auth { login } => self.answer_auth(login, &reply),
            Question::Mail(mail) => self.answer_mail(mail, &reply),
            Question::Rcpt(recipient) => self.answer_rcpt(recipient, &reply),
            Question::Vrfy => self.give(&reply),
            Question::Data => self.answer_data(&reply),
            Question::ContentEnd { replies } => self.answer_content(&vec![reply; replies]),
        }
    }

    /// Answers [`Event::ContentEnd`] with one reply per accepted recipient, in their order
    /// (RFC 2033 §4.2). Missing replies are made up for by a 451, and in SMTP only the first
    /// counts. Any other question gets the first reply.
    pub fn answer_each(&mut self, replies: Vec<Reply>) {
        let missing = || Reply::local_error("No outcome for this recipient");
        let Phase::Asked(Question::ContentEnd { replies: wanted }) = self.phase else {
            return self.answer(replies.into_iter().next().unwrap_or_else(missing));
        };
        let mut replies = replies;
        replies.resize_with(wanted, missing);
        self.take_question();
        self.answer_content(&replies);
    }

    /// Gives the message up for a reason of the driver's, such as a lack of memory: what is left
    /// of the content is discarded up to its true end, then `reply` is given (in LMTP once per
    /// recipient) and the session goes on. No event follows for this message. Also good while
    /// [`Event::ContentEnd`] is pending, or about to come; else it does nothing.
    pub fn reject_content(&mut self, reply: Reply) {
        match &mut self.phase {
            Phase::Content(receiving) => {
                receiving.reject(reply);
                self.drop_content_events();
            }
            Phase::Asked(Question::ContentEnd { .. }) => {
                self.drop_content_events();
                self.answer(reply);
            }
            _ => {}
        }
    }

    fn drop_content_events(&mut self) {
        self.events
            .retain(|event| !matches!(event, Event::Content(_) | Event::ContentEnd(_)));
    }

    /// The pending question; the session goes back to commands.
    fn take_question(&mut self) -> Option<Question> {
        if !matches!(self.phase, Phase::Asked(_)) {
            return None;
        }
        self.clock.answered();
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Asked(question) => Some(question),
            _ => None,
        }
    }

    /// Says what the service answered; its 421 closes (RFC 5321 §3.8).
    fn give(&mut self, reply: &Reply) {
        self.say(reply);
        if reply.code == ReplyCode::UNAVAILABLE {
            self.close();
        }
    }

    /// RFC 5321 §3.1: whoever is refused is waited for until QUIT. Only a 421 closes (§3.8).
    fn answer_greet(&mut self, reply: Reply) {
        if reply.code == ReplyCode::READY {
            let greeting = self.named(reply);
            self.say(&greeting);
        } else {
            self.refused = true;
            self.give(&reply);
        }
    }

    /// An accepted EHLO also resets; after a refused one all is as it was (RFC 5321 §4.1.4).
    fn answer_hello(&mut self, hello: Hello, reply: Reply) {
        if !reply.code.is_positive_completion() {
            return self.give(&reply);
        }
        self.reset();
        let mut reply = self.named(reply);
        if hello.verb != HelloVerb::Helo {
            let extensions = self.extensions();
            reply
                .lines
                .extend(extensions.iter().map(Extension::to_string));
        }
        self.say(&reply);
        self.hello = Some(hello);
    }

    /// A greeting or a reply to EHLO: our name comes first (RFC 5321 §4.2), there is no status
    /// (RFC 2034 §3) and no second line.
    fn named(&self, mut reply: Reply) -> Reply {
        reply.status = None;
        reply.lines.truncate(1);
        let host_name = self.config.host_name.as_str();
        let text = reply.lines.pop().unwrap_or_default();
        let has_name = text.split(' ').next() == Some(host_name);
        reply.lines.push(if has_name {
            text
        } else {
            format!("{host_name} {text}").trim_end().to_owned()
        });
        reply
    }

    /// What is offered now (RFC 5321 §4.1.1.1).
    fn extensions(&self) -> Vec<Extension> {
        let mut extensions = vec![
            Extension::Pipelining,
            Extension::Size(Some(self.config.max_message_size)),
            Extension::EightBitMime,
            Extension::EnhancedStatusCodes,
        ];
        if self.config.start_tls && !self.tls {
            extensions.push(Extension::StartTls);
        }
        if self.config.auth == AuthOffer::AfterTls && self.tls {
            let mechanisms = vec![Mechanism::Plain, Mechanism::Login];
            extensions.push(Extension::Auth(mechanisms));
        }
        extensions.push(Extension::Help);
        extensions
    }

    fn answer_auth(&mut self, login: String, reply: &Reply) {
        self.give(reply);
        if reply.code.is_positive_completion() {
            self.login = Some(login);
        } else if reply.code.is_permanent() {
            self.auth_failures += 1;
            if self.auth_failures >= self.config.max_auth_failures {
                self.close_with(&replies::too_many_errors(&self.config.host_name));
            }
        }
    }

    fn answer_mail(&mut self, mail: Mail, reply: &Reply) {
        self.transaction = if reply.code.is_positive_completion() {
            Transaction::Open(Envelope {
                reverse_path: mail.reverse_path,
                parameters: mail.parameters,
                recipients: Vec::new(),
            })
        } else {
            Transaction::Refused
        };
        self.give(reply);
    }

    fn answer_rcpt(&mut self, recipient: Recipient, reply: &Reply) {
        if let Transaction::Open(envelope) = &mut self.transaction
            && reply.code.is_positive_completion()
        {
            envelope.recipients.push(recipient);
        }
        self.give(reply);
    }

    fn answer_data(&mut self, reply: &Reply) {
        self.give(reply);
        if reply.code.is_intermediate() {
            self.clock.content_begins();
            self.phase = Phase::Content(Receiving::new(&self.config));
        }
    }

    /// Gives the replies after the final dot.
    pub(super) fn answer_content(&mut self, replies: &[Reply]) {
        for reply in replies {
            self.say(reply);
        }
        let has = |test: fn(&Reply) -> bool| replies.iter().any(test);
        if has(|reply| reply.code.is_positive_completion()) {
            self.errors = 0;
        }
        if has(|reply| reply.code == ReplyCode::UNAVAILABLE) {
            self.close();
        }
    }

    /// How many replies follow the final dot.
    pub(super) fn replies_to_content(&self, envelope: &Envelope) -> usize {
        match self.config.dialect {
            Dialect::Smtp => 1,
            Dialect::Lmtp => envelope.recipients.len(),
        }
    }
}
