//! One connection to a [`Sink`](crate::Sink). It shares no code with our own servers, so that a fault
//! of theirs is not mirrored here.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::net::TcpStream;

use super::script::{Action, Stage};
use super::{Received, State};
use crate::stream::{Lines, Stream};
use crate::tls;

/// Longest content that is taken: a test that sends more has lost its way.
const MAX_CONTENT: usize = 256 << 20;

/// The session is over, by script, by the client or by accident.
pub(super) struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

pub(super) struct Session {
    lines: Lines,
    state: Arc<State>,
    connection: usize,
    hello: String,
    transaction: Option<Transaction>,
}

struct Transaction {
    reverse_path: String,
    parameters: String,
    recipients: Vec<String>,
}

impl Session {
    pub(super) fn new(stream: TcpStream, state: Arc<State>, connection: usize) -> Self {
        Self {
            lines: Lines::new(Stream::Plain(stream)),
            state,
            connection,
            hello: String::new(),
            transaction: None,
        }
    }

    pub(super) async fn run(mut self) -> Result<(), Over> {
        if !self.act(Stage::Greeting, "220 sink.test ESMTP").await? {
            // RFC 5321 §3.1: after 554 the server waits for QUIT.
            while let Some(line) = self.lines.line().await? {
                self.state.record(self.connection, &line);
                let bye = line.eq_ignore_ascii_case("QUIT");
                self.say(if bye { "221 bye" } else { "503 no service" })
                    .await?;
            }
            return Ok(());
        }
        while let Some(line) = self.lines.line().await? {
            self.state.record(self.connection, &line);
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.ehlo(argument).await?,
                "HELO" => self.helo(argument).await?,
                "STARTTLS" => self = self.starttls().await?,
                "MAIL" => self.mail(argument).await?,
                "RCPT" => self.rcpt(argument).await?,
                "DATA" => self.data().await?,
                "RSET" => {
                    self.transaction = None;
                    self.act(Stage::Rset, "250 2.0.0 OK").await?;
                }
                "NOOP" => self.say("250 2.0.0 OK").await?,
                "QUIT" => {
                    self.act(Stage::Quit, "221 2.0.0 Bye").await?;
                    self.lines.finish().await;
                    return Ok(());
                }
                _ => self.say("502 5.5.1 Unknown command").await?,
            }
        }
        Ok(())
    }

    async fn ehlo(&mut self, argument: &str) -> Result<(), Over> {
        self.begin(argument);
        let mut offered = self.state.script().extensions.clone();
        if self.state.script().tls.is_some() && !self.lines.is_tls() {
            offered.push("STARTTLS".to_owned());
        }
        let mut lines = vec!["sink.test greets you".to_owned()];
        lines.extend(offered);
        let (last, others) = lines.split_last().ok_or(Over)?;
        let mut reply: String = others
            .iter()
            .map(|line| format!("250-{line}\r\n"))
            .collect();
        reply.push_str(&format!("250 {last}"));
        self.act(Stage::Hello, &reply).await?;
        Ok(())
    }

    async fn helo(&mut self, argument: &str) -> Result<(), Over> {
        self.begin(argument);
        self.say("250 sink.test").await
    }

    fn begin(&mut self, hello: &str) {
        self.hello = hello.to_owned();
        self.transaction = None;
    }

    async fn starttls(mut self) -> Result<Self, Over> {
        let Some(config) = self.state.script().tls.clone() else {
            self.say("502 5.5.1 Not offered").await?;
            return Ok(self);
        };
        if self.lines.has_read_ahead() {
            self.complain("sent plain text after STARTTLS");
        }
        if !self.act(Stage::StartTls, "220 2.0.0 Go ahead").await? {
            return Ok(self);
        }
        if let Some(action) = self.take(Stage::Handshake) {
            self.perform(action, "").await?;
        }
        let plain = self.lines.into_plain().ok_or(Over)?;
        Ok(Self {
            lines: Lines::new(tls::accept(plain, config).await?),
            hello: String::new(),
            transaction: None,
            ..self
        })
    }

    async fn mail(&mut self, argument: &str) -> Result<(), Over> {
        let (reverse_path, parameters) = path(argument, "FROM:").ok_or(Over)?;
        for (parameter, keyword) in [("SIZE=", "SIZE"), ("BODY=8BITMIME", "8BITMIME")] {
            let used = parameters.to_ascii_uppercase().contains(parameter);
            if used && !self.state.script().offers(keyword) {
                self.complain(&format!("used {parameter}, which was not offered"));
            }
        }
        if self.act(Stage::Mail, "250 2.1.0 OK").await? {
            self.transaction = Some(Transaction {
                reverse_path,
                parameters,
                recipients: Vec::new(),
            });
        }
        Ok(())
    }

    async fn rcpt(&mut self, argument: &str) -> Result<(), Over> {
        let (recipient, _) = path(argument, "TO:").ok_or(Over)?;
        let Some(transaction) = &self.transaction else {
            return self.say("503 5.5.1 MAIL first").await;
        };
        let accepted = transaction.recipients.len();
        let action = self.state.script().recipient_action(&recipient, accepted);
        if self.act_or(action, "250 2.1.5 OK").await?
            && let Some(transaction) = &mut self.transaction
        {
            transaction.recipients.push(recipient);
        }
        Ok(())
    }

    async fn data(&mut self) -> Result<(), Over> {
        let has_recipients = |transaction: &&Transaction| !transaction.recipients.is_empty();
        if self.transaction.as_ref().filter(has_recipients).is_none() {
            return self.say("503 5.5.1 RCPT first").await;
        }
        if !self.act(Stage::Data, "354 Go ahead").await? {
            return Ok(());
        }
        let content = self.content().await?;
        let Some(transaction) = self.transaction.take() else {
            return Ok(());
        };
        let number = self.state.receive(Received {
            reverse_path: transaction.reverse_path,
            parameters: transaction.parameters,
            recipients: transaction.recipients,
            content: content.freeze(),
            hello: self.hello.clone(),
            tls: self.lines.is_tls(),
            connection: self.connection,
            acknowledged: false,
        });
        let action = self.take(Stage::Dot);
        // Said before the reply goes out: whoever reads the reply may look at once.
        if action.as_ref().is_none_or(is_acceptance) {
            self.state.acknowledge(number);
        }
        self.act_or(action, "250 2.0.0 Taken").await?;
        Ok(())
    }

    /// Reads lines up to the lone dot, and takes the dots off that were put before others
    /// (RFC 5321 §4.5.2).
    async fn content(&mut self) -> Result<BytesMut, Over> {
        if let Some(action) = self.take(Stage::Content) {
            // Some content first, so that this is the midst of it.
            self.lines.fill().await?;
            self.perform(action, "").await?;
        }
        let mut content = BytesMut::new();
        loop {
            let line = self.lines.until(b"\r\n").await?.ok_or(Over)?;
            match line.as_ref() {
                b"." => return Ok(content),
                [b'.', rest @ ..] => content.extend_from_slice(rest),
                line => content.extend_from_slice(line),
            }
            content.extend_from_slice(b"\r\n");
            if content.len() > MAX_CONTENT {
                return Err(Over);
            }
        }
    }

    fn take(&self, stage: Stage) -> Option<Action> {
        self.state.script().action(stage)
    }

    fn complain(&self, complaint: &str) {
        let complaint = format!("connection {}: {complaint}", self.connection);
        self.state.complain(complaint);
    }

    /// Replies as usual or as the script wants; whether the reply was positive.
    async fn act(&mut self, stage: Stage, usual: &str) -> Result<bool, Over> {
        let action = self.take(stage);
        self.act_or(action, usual).await
    }

    async fn act_or(&mut self, action: Option<Action>, usual: &str) -> Result<bool, Over> {
        if self.lines.has_read_ahead() && !self.state.script().offers("PIPELINING") {
            self.complain("did not wait for a reply, though PIPELINING was not offered");
        }
        match action {
            Some(action) => self.perform(action, usual).await,
            None => {
                self.say(usual).await?;
                Ok(true)
            }
        }
    }

    async fn perform(&mut self, action: Action, usual: &str) -> Result<bool, Over> {
        match action {
            Action::Reply(reply) => {
                self.say(&reply).await?;
                Ok(is_positive(&reply))
            }
            Action::ReplyAndClose(reply) => {
                self.say(&reply).await?;
                self.lines.finish().await;
                Err(Over)
            }
            Action::Close => Err(Over),
            Action::Stall => {
                while self.lines.fill().await? > 0 {}
                Err(Over)
            }
            Action::Delay(time) => {
                tokio::time::sleep(time).await;
                if !usual.is_empty() {
                    self.say(usual).await?;
                }
                Ok(true)
            }
        }
    }

    async fn say(&mut self, reply: &str) -> Result<(), Over> {
        Ok(self.lines.write(format!("{reply}\r\n").as_bytes()).await?)
    }
}

fn is_positive(reply: &str) -> bool {
    reply.starts_with(['2', '3'])
}

fn is_acceptance(action: &Action) -> bool {
    match action {
        Action::Reply(reply) | Action::ReplyAndClose(reply) => is_positive(reply),
        Action::Delay(_) => true,
        Action::Close | Action::Stall => false,
    }
}

/// `FROM:<path> parameters` → path and parameters.
fn path(argument: &str, keyword: &str) -> Option<(String, String)> {
    let start = argument.get(..keyword.len())?;
    let rest = argument.get(keyword.len()..)?.strip_prefix('<')?;
    let (path, parameters) = rest.rsplit_once('>')?;
    start
        .eq_ignore_ascii_case(keyword)
        .then(|| (path.to_owned(), parameters.trim().to_owned()))
}
