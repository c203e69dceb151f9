//! A client session and a server session, joined by two wires under a virtual clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use smtp::client::content::Encoder;
use smtp::client::{self, Ending, RecipientResult, Stage, Transaction, TransactionResult};
use smtp::server::{self, HelloVerb};
use smtp::{Body, Dialect, Domain, EnhancedStatus, Envelope, Mailbox, Reply, ReversePath};

/// A message as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) recipients: Vec<Mailbox>,
    pub(crate) body: Body,
    pub(crate) content: Vec<Bytes>,
}

impl Message {
    pub(crate) fn new(recipients: &[&str], content: &[u8]) -> Self {
        Self {
            recipients: recipients.iter().map(|to| mailbox(to)).collect(),
            body: Body::SevenBit,
            content: vec![Bytes::copy_from_slice(content)],
        }
    }
}

/// A message as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) recipients: Vec<String>,
    pub(crate) content: Vec<u8>,
    pub(crate) tls: bool,
}

/// A question that the server may never answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Greet,
    Hello,
    Mail,
    Rcpt,
    Data,
    ContentEnd,
}

/// What the server's service says.
pub(crate) struct Policy {
    pub(crate) ehlo: Reply,
    pub(crate) mail: Reply,
    pub(crate) rcpt: Box<dyn Fn(&str) -> Reply>,
    pub(crate) data: Reply,
    /// One reply per accepted recipient; in SMTP the first counts.
    pub(crate) accept: Box<dyn Fn(&str) -> Reply>,
    pub(crate) silent_at: Option<Question>,
}

impl Default for Policy {
    fn default() -> Self {
        let ok = || Reply::ok("ok");
        Self {
            ehlo: Reply::new(250, None, "server"),
            mail: ok(),
            rcpt: Box::new(move |_| ok()),
            data: Reply::start_mail_input(),
            accept: Box::new(move |_| ok()),
            silent_at: None,
        }
    }
}

/// How the client goes about it.
pub(crate) struct Plan {
    pub(crate) start_tls: bool,
    /// Most octets that arrive at once, in either direction.
    pub(crate) chunk: usize,
    /// Whether the client stops when it should send content.
    pub(crate) stalls_at_content: bool,
    /// Put on the wires by someone in the middle, behind STARTTLS and its 220.
    pub(crate) injected: Option<(&'static str, &'static str)>,
    pub(crate) messages: Vec<Message>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            start_tls: false,
            chunk: usize::MAX,
            stalls_at_content: false,
            injected: None,
            messages: Vec::new(),
        }
    }
}

pub(crate) struct Pair {
    pub(crate) client: client::Session,
    pub(crate) server: server::Session,
    policy: Policy,
    plan: Plan,
    outbox: VecDeque<Message>,
    now: Instant,
    started: Instant,
    up: Vec<u8>,
    down: Vec<u8>,
    client_awaits_tls: bool,
    server_awaits_tls: bool,
    content: Vec<u8>,
    /// How often the client wrote.
    pub(crate) flights: usize,
    pub(crate) received: Vec<Received>,
    pub(crate) results: Vec<TransactionResult>,
    pub(crate) not_begun: Vec<client::NotBegun>,
    pub(crate) closed: Option<(Stage, Ending)>,
}

pub(crate) fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap()
}

pub(crate) fn reply(code: u16, status: (u8, u16, u16), text: &str) -> Reply {
    Reply::new(
        code,
        EnhancedStatus::new(status.0, status.1, status.2),
        text,
    )
}

pub(crate) fn smtp_server() -> server::Config {
    server::Config::new(Dialect::Smtp, "server.example.net")
}

pub(crate) fn ended_by_quit(pair: &Pair) -> bool {
    pair.closed == Some((Stage::Quit, Ending::Quit))
}

impl Pair {
    pub(crate) fn new(config: server::Config, policy: Policy, plan: Plan) -> Self {
        let now = Instant::now();
        let mut settings = client::Config::new(Domain::parse("client.example.org").unwrap());
        settings.dialect = config.dialect;
        Self {
            client: client::Session::new(settings, false, now),
            server: server::Session::new(Arc::new(config), false, now),
            policy,
            outbox: plan.messages.iter().cloned().collect(),
            plan,
            now,
            started: now,
            up: Vec::new(),
            down: Vec::new(),
            client_awaits_tls: false,
            server_awaits_tls: false,
            content: Vec::new(),
            flights: 0,
            received: Vec::new(),
            results: Vec::new(),
            not_begun: Vec::new(),
            closed: None,
        }
    }

    /// Runs until the client's session is over. When nothing moves, time does.
    pub(crate) fn run(&mut self) {
        while self.closed.is_none() {
            self.deliver();
            self.serve();
            self.drive();
            if self.client_awaits_tls && self.server_awaits_tls {
                self.shake_hands();
            } else if self.closed.is_none() && self.is_still() {
                self.let_time_pass();
            }
        }
    }

    /// How long it took.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.started
    }

    /// The recipients whom the server took the last message for.
    pub(crate) fn accepted(&self) -> Vec<bool> {
        let last = self.results.last().unwrap();
        last.recipients
            .iter()
            .map(RecipientResult::is_accepted)
            .collect()
    }

    fn is_still(&self) -> bool {
        let server_can_read = self.server.wants_input() && !self.up.is_empty();
        self.down.is_empty() && !server_can_read && !self.server.has_output()
    }

    fn let_time_pass(&mut self) {
        let deadlines = [self.client.deadline(), Some(self.server.deadline())];
        self.now = deadlines.into_iter().flatten().min().unwrap();
        self.client.timed_out(self.now);
        self.server.timed_out(self.now);
        self.serve();
        self.drive();
    }

    fn deliver(&mut self) {
        let arrived: Vec<u8> = take(&mut self.down, self.plan.chunk);
        self.client.feed(&arrived, self.now);
        if self.server.wants_input() {
            let arrived: Vec<u8> = take(&mut self.up, self.plan.chunk);
            self.server.feed(&arrived, self.now);
        }
    }

    fn shake_hands(&mut self) {
        if let Some((up, down)) = self.plan.injected {
            self.server.feed(up.as_bytes(), self.now);
            self.client.feed(down.as_bytes(), self.now);
        }
        assert!(self.up.is_empty() && self.down.is_empty());
        (self.client_awaits_tls, self.server_awaits_tls) = (false, false);
        self.client.tls_established(self.now);
        self.server.tls_established(self.now);
    }

    /// The driver of the client.
    fn drive(&mut self) {
        while let Some(event) = self.client.next_event() {
            match event {
                client::Event::Ready(extensions) => {
                    if self.plan.start_tls && extensions.start_tls() && !self.client.is_tls() {
                        self.client.start_tls(self.now).unwrap();
                    } else {
                        self.send_next();
                    }
                }
                client::Event::StartTls => self.client_awaits_tls = true,
                client::Event::Authenticated => self.send_next(),
                client::Event::Refused { .. } => self.client.quit(self.now),
                client::Event::SendContent if self.plan.stalls_at_content => {}
                client::Event::SendContent => self.send_content(),
                client::Event::TransactionDone(result) => self.transaction_done(result),
                client::Event::Closed { stage, ending } => self.closed = Some((stage, ending)),
            }
        }
        let output = self.client.take_output();
        if !output.is_empty() {
            self.flights += 1;
            self.up.extend_from_slice(&output);
        }
    }

    fn send_next(&mut self) {
        while let Some(message) = self.outbox.front() {
            let size = Encoder::new(message.content.clone()).unwrap().size();
            let transaction = Transaction {
                reverse_path: &ReversePath::Null,
                recipients: &message.recipients,
                body: message.body,
                size,
            };
            match self.client.begin(&transaction, self.now) {
                Ok(()) => return,
                Err(error) => self.not_begun.push(error),
            }
            self.outbox.pop_front();
        }
        self.client.quit(self.now);
    }

    fn send_content(&mut self) {
        let message = self.outbox.front().unwrap();
        for chunk in Encoder::new(message.content.clone()).unwrap() {
            self.up.extend_from_slice(&chunk);
        }
        self.client.content_sent(self.now);
    }

    /// Whoever was one too many gets the message in a next transaction.
    fn transaction_done(&mut self, result: TransactionResult) {
        let mut message = self.outbox.pop_front().unwrap();
        let mut results = result.recipients.iter();
        message.recipients.retain(|_| {
            let result = results.next().unwrap();
            matches!(result, RecipientResult::TooManyRecipients(_))
        });
        if !message.recipients.is_empty() {
            self.outbox.push_front(message);
        }
        self.results.push(result);
        if self.client.is_ready() {
            self.send_next();
        }
    }

    /// The driver of the server, and its service.
    fn serve(&mut self) {
        while let Some(event) = self.server.next_event() {
            let (question, answer) = match event {
                server::Event::Greet => (Question::Greet, Reply::new(220, None, "server")),
                server::Event::Hello(hello) if hello.verb == HelloVerb::Helo => {
                    (Question::Hello, Reply::new(250, None, "server"))
                }
                server::Event::Hello(_) => (Question::Hello, self.policy.ehlo.clone()),
                server::Event::Mail(_) => (Question::Mail, self.policy.mail.clone()),
                server::Event::Rcpt(recipient) => {
                    let reply = (self.policy.rcpt)(&recipient.path.as_address());
                    (Question::Rcpt, reply)
                }
                server::Event::Data => (Question::Data, self.policy.data.clone()),
                server::Event::ContentEnd(envelope) => {
                    if self.policy.silent_at != Some(Question::ContentEnd) {
                        self.accept(&envelope);
                    }
                    continue;
                }
                server::Event::Content(chunk) => {
                    self.content.extend_from_slice(&chunk);
                    continue;
                }
                server::Event::StartTls => {
                    self.server_awaits_tls = true;
                    continue;
                }
                server::Event::ContentRejected | server::Event::Reset => {
                    self.content.clear();
                    continue;
                }
                server::Event::Close => continue,
                server::Event::Auth(_) | server::Event::Vrfy(_) => panic!("never asked"),
            };
            if self.policy.silent_at != Some(question) {
                self.server.answer(answer);
            }
        }
        self.down.extend_from_slice(&self.server.take_output());
    }

    fn accept(&mut self, envelope: &Envelope) {
        let recipients: Vec<String> = envelope
            .recipients
            .iter()
            .map(|recipient| recipient.path.as_address())
            .collect();
        let replies = recipients.iter().map(|to| (self.policy.accept)(to));
        self.server.answer_each(replies.collect());
        self.received.push(Received {
            recipients,
            content: std::mem::take(&mut self.content),
            tls: self.server.is_tls(),
        });
    }
}

fn take(wire: &mut Vec<u8>, most: usize) -> Vec<u8> {
    let rest = wire.split_off(most.min(wire.len()));
    std::mem::replace(wire, rest)
}
