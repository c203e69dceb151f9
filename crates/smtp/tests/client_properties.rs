//! What holds for a client session whatever the server sends.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use smtp::client::{Config, Dialect, Event, Session, Transaction};
use smtp::{Body, Domain, Mailbox, ReversePath};

/// Longest line of a reply that is taken, and what a test feeds at once, in octets.
const INPUT: usize = 2_048;
/// The longest commands that the driver below can make a session write at once, in octets.
const OUTPUT: usize = 512;

/// A driver that does what the events ask for, and keeps a record.
struct Driver {
    session: Session,
    now: Instant,
    record: Vec<String>,
    begun: usize,
    done: usize,
    is_closed: bool,
}

impl Driver {
    fn new(dialect: Dialect) -> Self {
        let now = Instant::now();
        let mut config = Config::new(Domain::parse("client.example.org").unwrap());
        config.dialect = dialect;
        Self {
            session: Session::new(config, false, now),
            now,
            record: Vec::new(),
            begun: 0,
            done: 0,
            is_closed: false,
        }
    }

    /// Takes what came of the input, without reacting to it yet.
    fn listen(&mut self) -> Vec<Event> {
        let output = self.session.take_output();
        assert!(output.len() <= OUTPUT, "{} octets at once", output.len());
        self.record
            .push(String::from_utf8(output.to_vec()).unwrap());
        std::iter::from_fn(|| self.session.next_event()).collect()
    }

    fn react(&mut self) {
        for event in self.listen() {
            self.record.push(format!("{event:?}"));
            assert!(!self.is_closed, "{event:?} after the last event");
            match event {
                Event::Ready(extensions) if extensions.start_tls() && !self.session.is_tls() => {
                    self.session.start_tls(self.now).ok();
                }
                Event::Ready(_) => {
                    if self.session.authenticate("x", "y", self.now).is_err() {
                        self.begin();
                    }
                }
                Event::Authenticated => self.begin(),
                Event::StartTls => self.session.tls_established(self.now),
                Event::Refused { .. } => self.session.quit(self.now),
                Event::SendContent => self.session.content_sent(self.now),
                Event::TransactionDone(result) => {
                    assert_eq!(result.recipients.len(), 2);
                    self.done += 1;
                    self.begin();
                }
                Event::Closed { .. } => self.is_closed = true,
            }
        }
        let output = self.session.take_output();
        self.record
            .push(String::from_utf8(output.to_vec()).unwrap());
    }

    fn begin(&mut self) {
        let recipients = ["a@example.net", "b@example.net"].map(|to| Mailbox::parse(to).unwrap());
        let transaction = Transaction {
            reverse_path: &ReversePath::Null,
            recipients: &recipients,
            body: Body::SevenBit,
            size: 1_000,
        };
        if self.session.begin(&transaction, self.now).is_ok() {
            self.begun += 1;
        }
    }

    /// The connection is lost at last.
    fn finish(mut self) -> Vec<String> {
        self.react();
        self.session.disconnected();
        self.react();
        assert!(self.is_closed && self.session.is_closed());
        assert_eq!(self.begun, self.done, "each transaction ends once");
        self.record
    }
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop::sample::select(vec![Dialect::Smtp, Dialect::Lmtp])
}

/// Replies as a server might send them, in any order, and things that are none.
fn flight() -> impl Strategy<Value = Vec<u8>> {
    let code = prop::sample::select(vec![
        220_u16, 235, 250, 250, 250, 250, 334, 354, 354, 421, 450, 452, 454, 550, 552, 221,
    ]);
    let text = prop::sample::select(vec![
        "",
        " ok",
        " 2.0.0 ok",
        "-more\r\n250 ok",
        " caf\u{e9}",
    ]);
    let reply = (code, text).prop_map(|(code, text)| format!("{code}{text}\r\n").into_bytes());
    let hello = prop::sample::select(vec![
        "250-mx\r\n250-PIPELINING\r\n250 SIZE 5000\r\n",
        "250-mx\r\n250-STARTTLS\r\n250 PIPELINING\r\n",
        "250-mx\r\n250 SIZE 5\r\n",
        "250-mx\r\n250 AUTH PLAIN\r\n",
    ])
    .prop_map(|text| text.as_bytes().to_vec());
    let piece = prop_oneof![
        20 => reply,
        8 => hello,
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// How the bytes of a flight are cut makes no difference.
    #[test]
    fn cuts_make_no_difference(
        dialect in dialect(),
        flights in prop::collection::vec(flight(), 1..8),
        piece in 1_usize..20,
    ) {
        let mut whole = Driver::new(dialect);
        let mut cut = Driver::new(dialect);
        for flight in &flights {
            whole.session.feed(flight, whole.now);
            whole.react();
            for piece in flight.chunks(piece) {
                cut.session.feed(piece, cut.now);
            }
            cut.react();
        }
        prop_assert_eq!(whole.finish(), cut.finish());
    }

    /// No server makes a session panic, run on after its end, forget a transaction or write more
    /// than its commands.
    #[test]
    fn any_server_is_survived(
        dialect in dialect(),
        flights in prop::collection::vec(
            prop_oneof![flight(), prop::collection::vec(any::<u8>(), 0..INPUT)], 0..12),
        late in prop::collection::vec(0_u64..700, 12),
    ) {
        let mut driver = Driver::new(dialect);
        for (flight, seconds) in flights.iter().zip(late) {
            driver.session.feed(flight, driver.now);
            driver.react();
            driver.now += Duration::from_secs(seconds);
            driver.session.timed_out(driver.now);
        }
        driver.finish();
    }
}

/// A server may talk without end, but is not listened to.
#[test]
fn endless_input_is_bounded() {
    for endless in [
        b"x".repeat(INPUT + 1),
        b"250-and so on\r\n".repeat(101),
        b"250 ok\r\n".repeat(1_000),
    ] {
        let mut driver = Driver::new(Dialect::Smtp);
        driver.session.feed(b"220 mx\r\n", driver.now);
        driver.react();
        driver.session.feed(&endless, driver.now);
        driver.react();
        assert!(driver.is_closed);
    }
}

/// Results hold a reply for each recipient: a long one is cut.
#[test]
fn long_replies_are_cut() {
    let mut driver = Driver::new(Dialect::Smtp);
    driver.session.feed(b"220 mx\r\n250 mx\r\n", driver.now);
    driver.react();
    let line = format!("550-{}\r\n", "é".repeat(900)).repeat(99);
    driver.session.feed(line.as_bytes(), driver.now);
    driver.session.feed(b"550 end\r\n", driver.now);
    let events: Vec<Event> = driver.listen();
    let [Event::TransactionDone(result)] = events.as_slice() else {
        panic!("{events:?}");
    };
    let reply = result.recipients[1].reply().unwrap();
    assert_eq!(reply.lines.len(), 8);
    assert_eq!(reply.lines[0].len(), 512);
}
