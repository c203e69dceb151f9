//! Plays the transcripts in `client_transcripts/` against a client session: once with the
//! server's lines whole, once an octet at a time.
//!
//! `S:` is a line from the server, `C:` a line from the client, `D:` what the driver does, `E:` an
//! event. A block of `C:` or `E:` lines is everything there is at that point: so commands in one
//! block went out without waiting.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, Instant};

use smtp::client::{Config, Dialect, Event, RecipientResult, Session, Transaction};
use smtp::{Body, Domain, Extension, Mailbox, ReversePath};

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client_transcripts");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let transcript = std::fs::read_to_string(&path).unwrap();
        for feed in [Feed::Whole, Feed::OctetByOctet] {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            Player::new(name, feed).play(&transcript);
        }
        played += 1;
    }
    assert!(played > 0, "no transcripts found");
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Feed {
    Whole,
    OctetByOctet,
}

struct Player {
    name: String,
    feed: Feed,
    line: usize,
    now: Instant,
    session: Session,
    errors: Vec<String>,
}

impl Player {
    fn new(name: String, feed: Feed) -> Self {
        let now = Instant::now();
        Self {
            name,
            feed,
            line: 0,
            now,
            session: session(&[], now),
            errors: Vec::new(),
        }
    }

    fn play(mut self, transcript: &str) {
        let lines: Vec<(usize, &str)> = transcript
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .collect();
        for block in lines.chunk_by(|(_, a), (_, b)| kind(a) == kind(b)) {
            self.line = block[0].0;
            let texts: Vec<&str> = block.iter().map(|(_, line)| line[2..].trim()).collect();
            match kind(block[0].1) {
                "C:" => {
                    let output = self.session.take_output();
                    let written = String::from_utf8(output.to_vec()).unwrap();
                    let expected: String = texts.iter().map(|t| format!("{t}\r\n")).collect();
                    self.check(written, expected);
                }
                "E:" => {
                    let events = self.events();
                    self.check(events, texts.iter().map(ToString::to_string).collect());
                }
                "S:" => {
                    self.nothing_is_pending();
                    self.feed(&texts.iter().map(|t| format!("{t}\r\n")).collect::<String>());
                }
                "D:" => {
                    for (line, text) in block {
                        self.line = *line;
                        self.nothing_is_pending();
                        self.drive(&text[2..].split_whitespace().collect::<Vec<_>>());
                    }
                }
                _ => panic!("{}:{}: unknown kind of line", self.name, self.line),
            }
        }
        self.nothing_is_pending();
    }

    fn drive(&mut self, words: &[&str]) {
        let now = self.now;
        match words {
            ["connect", options @ ..] => self.session = session(options, now),
            ["starttls"] => {
                if let Err(error) = self.session.start_tls(now) {
                    self.errors.push(format!("no starttls: {error}"));
                }
            }
            ["auth", login, password] => self.authenticate(login, password),
            ["handshake"] => self.session.tls_established(now),
            ["begin", arguments @ ..] => self.begin(arguments),
            ["sent"] => self.session.content_sent(now),
            ["abandon"] => self.session.abandon(),
            ["quit"] => self.session.quit(now),
            ["disconnect"] => self.session.disconnected(),
            ["wait", seconds] => {
                self.now += Duration::from_secs(seconds.parse().unwrap());
                self.session.timed_out(self.now);
            }
            ["deadline", "none"] => self.check(self.session.deadline(), None),
            ["deadline", seconds] => {
                let left = self.session.deadline().map(|at| (at - now).as_secs());
                self.check(left, Some(seconds.parse().unwrap()));
            }
            _ => panic!("{}:{}: unknown directive", self.name, self.line),
        }
    }

    fn authenticate(&mut self, login: &str, password: &str) {
        if let Err(error) = self.session.authenticate(login, password, self.now) {
            self.errors.push(format!("not authenticated: {error}"));
        }
    }

    fn begin(&mut self, arguments: &[&str]) {
        let mut reverse_path = ReversePath::parse_path("<sender@example.org>").unwrap();
        let mut body = Body::SevenBit;
        let mut size = 1000;
        let mut recipients = Vec::new();
        for argument in arguments {
            match argument.split_once('=') {
                Some(("size", octets)) => size = octets.parse().unwrap(),
                Some(("from", path)) => reverse_path = ReversePath::parse_path(path).unwrap(),
                _ if *argument == "8bit" => body = Body::EightBitMime,
                _ => recipients.push(Mailbox::parse(argument).unwrap()),
            }
        }
        let transaction = Transaction {
            reverse_path: &reverse_path,
            recipients: &recipients,
            body,
            size,
        };
        if let Err(error) = self.session.begin(&transaction, self.now) {
            self.errors.push(format!("not begun: {error}"));
        }
    }

    fn feed(&mut self, text: &str) {
        match self.feed {
            Feed::Whole => self.session.feed(text.as_bytes(), self.now),
            Feed::OctetByOctet => {
                for octet in text.as_bytes().chunks(1) {
                    self.session.feed(octet, self.now);
                }
            }
        }
    }

    fn events(&mut self) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.errors);
        while let Some(event) = self.session.next_event() {
            lines.extend(describe(&event));
        }
        lines
    }

    fn nothing_is_pending(&mut self) {
        let output = self.session.take_output();
        self.check(String::from_utf8_lossy(&output).into_owned(), String::new());
        let events = self.events();
        self.check(events, Vec::new());
    }

    #[track_caller]
    fn check<T: PartialEq + std::fmt::Debug>(&self, is: T, should_be: T) {
        assert_eq!(
            is, should_be,
            "{}:{} ({:?})",
            self.name, self.line, self.feed
        );
    }
}

fn kind(line: &str) -> &str {
    line.get(..2).unwrap_or(line)
}

fn session(options: &[&str], now: Instant) -> Session {
    let mut config = Config::new(Domain::parse("client.example.org").unwrap());
    if options.contains(&"lmtp") {
        config.dialect = Dialect::Lmtp;
    }
    Session::new(config, options.contains(&"tls"), now)
}

fn describe(event: &Event) -> Vec<String> {
    match event {
        Event::Ready(extensions) => {
            let list: Vec<String> = extensions.iter().map(Extension::to_string).collect();
            vec![format!("ready {}", list.join(", ")).trim_end().to_owned()]
        }
        Event::StartTls => vec!["start tls".to_owned()],
        Event::Authenticated => vec!["authenticated".to_owned()],
        Event::Refused { stage, reply } => vec![at("refused", stage, reply)],
        Event::SendContent => vec!["send content".to_owned()],
        Event::TransactionDone(result) => {
            let mut lines = vec!["done".to_owned()];
            lines.extend(result.recipients.iter().map(describe_recipient));
            lines
        }
        Event::Closed { stage, ending } => vec![at("closed", stage, ending)],
    }
}

fn describe_recipient(result: &RecipientResult) -> String {
    match result {
        RecipientResult::Accepted(reply) => format!("- accepted: {reply}"),
        RecipientResult::Refused { stage, reply } => at("- refused", stage, reply),
        RecipientResult::TooManyRecipients(reply) => format!("- too many: {reply}"),
        RecipientResult::Interrupted { stage, ending } => at("- interrupted", stage, ending),
    }
}

fn at(what: &str, stage: &impl Display, why: &impl Display) -> String {
    format!("{what} at {stage}: {why}")
}
