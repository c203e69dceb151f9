//! Transcripts: sessions written down line by line, and played against a server session.
//!
//! ```text
//! # a comment
//! @tls, @lmtp, @start_tls, @auth      before the first line: what the listener is like
//! @max_errors 3                       … and any limit, by the name of its field
//! C: a line of the client, with CR LF added
//! C> the same without CR LF
//! S: a line of the server; all that it says in answer to the client's lines above
//! E: an event that no reply shows; all that occur, likewise
//! @answer mail 451 4.3.0 Not now      the next answer to this question; `|` between replies
//! @reject 452 4.3.1 Out of memory     gives up the next content
//! @handshake, @timeout, @shutdown, @disconnect
//! ```
//!
//! In the client's lines `\r`, `\n`, `\0`, `\xHH` and `\\` are escapes; there and in events
//! `{text*3}` repeats.
//! Client lines that follow each other arrive together.

use std::sync::Arc;
use std::time::Instant;

use smtp::server::{AuthOffer, Config, Dialect, Session};
use smtp::{Reply, ReplyParser};

use super::service::Service;

/// How the client's bytes arrive.
#[derive(Clone, Copy, Debug)]
pub enum Arrival {
    /// Lines that follow each other in one piece.
    Together,
    /// Octet by octet.
    Singly,
}

/// Plays one transcript; panics where it does not hold.
pub fn play(name: &str, script: &str, arrival: Arrival) {
    let mut player = Player::new(name, script, arrival);
    for (number, line) in script.lines().enumerate() {
        player.line = number + 1;
        player.play_line(line);
    }
    player.settle();
}

struct Player<'a> {
    name: &'a str,
    line: usize,
    arrival: Arrival,
    session: Session,
    service: Service,
    now: Instant,
    unsent: Vec<u8>,
    said: Vec<String>,
    happened: Vec<String>,
}

impl<'a> Player<'a> {
    fn new(name: &'a str, script: &str, arrival: Arrival) -> Self {
        let now = Instant::now();
        let tls = script.lines().any(|line| line == "@tls");
        Self {
            name,
            line: 0,
            arrival,
            session: Session::new(Arc::new(read_config(script)), tls, now),
            service: Service::default(),
            now,
            unsent: Vec::new(),
            said: Vec::new(),
            happened: Vec::new(),
        }
    }

    fn play_line(&mut self, line: &str) {
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        let (kind, text) = line.split_at(line.len().min(2));
        let text = text.strip_prefix(' ').unwrap_or(text);
        match kind {
            "C:" => self.say(&[unescape(text), b"\r\n".to_vec()].concat()),
            "C>" => self.say(&unescape(text)),
            "S:" => self.expect_said(text),
            "E:" => self.expect_happened(&repeat(text)),
            _ => self.direct(line),
        }
    }

    /// Queues what the client says. What came of the lines before must have been expected.
    fn say(&mut self, bytes: &[u8]) {
        if self.unsent.is_empty() {
            self.settle();
        }
        self.unsent.extend_from_slice(bytes);
    }

    fn expect_said(&mut self, text: &str) {
        self.send();
        assert!(
            !self.said.is_empty(),
            "{}: nothing said, not: {text}",
            self.place()
        );
        assert_eq!(self.said.remove(0), text, "{}", self.place());
    }

    fn expect_happened(&mut self, text: &str) {
        self.send();
        assert!(
            !self.happened.is_empty(),
            "{}: no event, not: {text}",
            self.place()
        );
        assert_eq!(self.happened.remove(0), text, "{}", self.place());
    }

    /// Sends what is queued, and fails if something was said or happened that is not written.
    fn settle(&mut self) {
        self.send();
        let place = self.place();
        assert!(
            self.said.is_empty(),
            "{place}: said besides: {:?}",
            self.said
        );
        assert!(
            self.happened.is_empty(),
            "{place}: besides: {:?}",
            self.happened
        );
    }

    fn send(&mut self) {
        let bytes = std::mem::take(&mut self.unsent);
        self.drive();
        let size = match self.arrival {
            Arrival::Together => bytes.len().max(1),
            Arrival::Singly => 1,
        };
        for piece in bytes.chunks(size) {
            self.session.feed(piece, self.now);
            self.drive();
        }
    }

    fn drive(&mut self) {
        self.service.drive(&mut self.session);
        let output = self.session.take_output();
        let text = String::from_utf8(output.to_vec()).unwrap();
        self.said
            .extend(text.split_terminator("\r\n").map(str::to_owned));
        self.happened.append(&mut self.service.log);
    }

    fn direct(&mut self, line: &str) {
        let (directive, rest) = line.split_once(' ').unwrap_or((line, ""));
        match directive {
            "@answer" => {
                let (question, replies) = rest.split_once(' ').unwrap();
                let replies = replies.split('|').map(read_reply).collect();
                self.service
                    .answers
                    .entry(question.to_owned())
                    .or_default()
                    .push(replies);
            }
            "@reject" => self.service.reject_content = Some(read_reply(rest)),
            "@handshake" => {
                self.settle();
                self.session.tls_established(self.now);
            }
            "@timeout" => {
                self.settle();
                self.now = self.session.deadline();
                self.session.timed_out(self.now);
            }
            "@shutdown" => {
                self.settle();
                self.session.shutdown(self.now);
            }
            "@disconnect" => {
                self.settle();
                self.session.disconnected();
            }
            other => assert!(is_setting(other), "{}: {line}", self.place()),
        }
    }

    fn place(&self) -> String {
        format!("{}, line {}, {:?}", self.name, self.line, self.arrival)
    }
}

fn is_setting(directive: &str) -> bool {
    let mut config = Config::new(Dialect::Smtp, "");
    directive == "@tls" || set(&mut config, directive, "1")
}

fn read_config(script: &str) -> Config {
    let mut config = Config::new(Dialect::Smtp, "mx.example.org");
    for line in script.lines().filter(|line| line.starts_with('@')) {
        let (directive, value) = line.split_once(' ').unwrap_or((line, ""));
        set(&mut config, directive, value);
    }
    config
}

/// Changes a setting; false if the directive is none.
fn set(config: &mut Config, directive: &str, value: &str) -> bool {
    let number = || value.parse::<usize>().unwrap();
    match directive {
        "@lmtp" => config.dialect = Dialect::Lmtp,
        "@start_tls" => config.start_tls = true,
        "@auth" => config.auth = AuthOffer::AfterTls,
        "@max_message_size" => config.max_message_size = number() as u64,
        "@max_recipients" => config.max_recipients = number(),
        "@max_text_line" => config.max_text_line = number(),
        "@max_command_line" => config.max_command_line = number(),
        "@max_errors" => config.max_errors = number(),
        "@max_auth_failures" => config.max_auth_failures = number(),
        _ => return false,
    }
    true
}

fn read_reply(text: &str) -> Reply {
    let mut line = format!("{}\r\n", text.trim()).as_bytes().into();
    ReplyParser::new().parse(&mut line).unwrap().unwrap()
}

fn unescape(text: &str) -> Vec<u8> {
    let text = repeat(text);
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend(c.to_string().bytes());
            continue;
        }
        bytes.push(match chars.next().unwrap() {
            'r' => b'\r',
            'n' => b'\n',
            '0' => 0,
            '\\' => b'\\',
            'x' => {
                let digits: String = chars.by_ref().take(2).collect();
                u8::from_str_radix(&digits, 16).unwrap()
            }
            other => panic!("unknown escape \\{other}"),
        });
    }
    bytes
}

/// Expands `{text*3}`.
fn repeat(text: &str) -> String {
    let Some((before, rest)) = text.split_once('{') else {
        return text.to_owned();
    };
    let (inner, after) = rest.split_once('}').unwrap();
    let (part, times) = inner.rsplit_once('*').unwrap();
    format!(
        "{before}{}{}",
        part.repeat(times.parse().unwrap()),
        repeat(after)
    )
}
