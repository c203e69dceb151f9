//! What the logs say, and what they must not.

use std::io;
use std::sync::{Arc, Mutex};

use service::config::{LogConfig, LogFormat};

use crate::directory::PASSWORD;
use crate::fleet::{Fleet, base64, plain};

/// All that was logged by this process.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_and_messages_are_logged_without_secrets() {
    let lines = Lines::default();
    let config = LogConfig {
        format: LogFormat::Text,
        level: "trace".to_owned(),
    };
    let writer = lines.clone();
    let subscriber = service::log::subscriber(&config, move || writer.clone()).unwrap();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let fleet = Fleet::start().await;
    let mut client = fleet.encrypted();
    let wrong = plain("", "alice@example.org", "a wrong guess");
    client.ask(&format!("AUTH PLAIN {wrong}"), "535");
    client.ask("AUTH LOGIN", "334");
    client.ask(&base64("alice@example.org"), "334");
    client.ask(&base64(PASSWORD), "235");
    let content = "From: alice@example.org\r\nSubject: private matter\r\n\r\nprivate words\r\n";
    let reply = client.submit("alice@example.org", &["jo@example.net"], content);
    let (_, id) = reply.trim_end().split_once("queued as ").unwrap();

    let log = lines.text();
    let has_line = |words: &[&str]| {
        log.lines()
            .any(|line| words.iter().all(|word| line.contains(word)))
    };
    assert!(
        has_line(&["login rejected", "alice@example.org", "client=127.0.0.1"]),
        "{log}"
    );
    assert!(has_line(&[
        "login accepted",
        "account=alice@example.org",
        "client=127.0.0.1"
    ]));
    let recipient = "recipient=jo@example.net";
    assert!(
        has_line(&[
            "accepted",
            id,
            "reverse_path=<alice@example.org>",
            recipient
        ]),
        "{log}"
    );
    for secret in [
        PASSWORD,
        &base64(PASSWORD),
        "a wrong guess",
        &wrong,
        "private",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
