//! Log lines are one line each, and can be grepped.
#![allow(clippy::unwrap_used)]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use service::config::{LogConfig, LogFormat};
use service::log::subscriber;
use service::message_log::{self, Fate, Message, Source};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(format: LogFormat, level: &str, work: impl FnOnce()) -> String {
    let captured = Captured::default();
    let writer = captured.clone();
    let config = LogConfig {
        format,
        level: level.to_owned(),
    };
    let subscriber = subscriber(&config, move || writer.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = captured.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn bounce(reply: &str) {
    let message = Message {
        queue_id: &"0193-ab",
        reverse_path: &"alice@example.org",
    };
    let fate = Fate {
        recipient: &"bob@example.net",
        next_hop: &"mx.example.net[192.0.2.1]:25",
        delay: Duration::from_millis(1500),
        status: &"5.1.1",
        reply: &reply,
    };
    message_log::bounced(&message, &fate);
}

fn accept(recipients: &[String]) {
    let message = Message {
        queue_id: &"0193-ab",
        reverse_path: &"<>",
    };
    let source = Source {
        service: "submission",
        client: Some([192, 0, 2, 7].into()),
        hello: Some("laptop"),
        login: Some("alice@example.org"),
        tls: None,
        size: 42,
    };
    message_log::accepted(&message, &source, recipients);
}

#[test]
fn text_is_one_line_of_keys_and_values() {
    let line = logged(LogFormat::Text, "info", || bounce("550 5.1.1 no such user"));
    assert!(
        line.ends_with(
            " WARN message: bounced queue_id=0193-ab reverse_path=alice@example.org \
             recipient=bob@example.net next_hop=mx.example.net[192.0.2.1]:25 delay_s=1.5 \
             status=5.1.1 reply=\"550 5.1.1 no such user\"\n"
        ),
        "{line}"
    );
}

#[test]
fn json_is_one_object_a_line() {
    let line = logged(LogFormat::Json, "info", || bounce("550 5.1.1 no such user"));
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(object["message"], "bounced");
    assert_eq!(object["target"], "message");
    assert_eq!(object["recipient"], "bob@example.net");
    assert_eq!(object["reply"], "550 5.1.1 no such user");
    assert_eq!(object["delay_s"], 1.5);
}

#[test]
fn a_far_end_can_not_fake_lines_nor_fill_the_disk() {
    let reply = format!(
        "550 x\r\n2026 INFO message: delivered\u{1b}[2J{}",
        "y".repeat(9999)
    );
    for format in [LogFormat::Text, LogFormat::Json] {
        let line = logged(format, "info", || bounce(&reply));
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!line.contains('\u{1b}'));
        assert!(line.len() < 1000, "{}", line.len());
    }
}

#[test]
fn an_acceptance_names_its_source_and_some_recipients() {
    let one = ["bob@example.net".to_owned()];
    let line = logged(LogFormat::Text, "info", || accept(&one));
    for part in [
        "accepted queue_id=0193-ab service=\"submission\" reverse_path=<> recipients=1 ",
        "recipient=bob@example.net size=42 client=192.0.2.7 hello=\"laptop\" ",
        "login=\"alice@example.org\"\n",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let many: Vec<String> = (0..1000).map(|n| format!("r{n}@example.net")).collect();
    let line = logged(LogFormat::Text, "info", || accept(&many));
    assert!(
        line.contains("recipients=1000 recipient=r0@example.net,"),
        "{line}"
    );
    assert!(line.contains("r19@example.net,… "), "{line}");
}

#[test]
fn levels_filter_by_part() {
    let quiet = logged(LogFormat::Text, "info,message=error", || bounce("550 no"));
    assert_eq!(quiet, "");
    let chatty = logged(LogFormat::Text, "error, message=debug,", || {
        bounce("550 no")
    });
    assert_eq!(chatty.lines().count(), 1, "{chatty}");
}
