//! `trace`, `queue top`, `mailq` and the looks of tables: what a relay did is found again.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use ::queue::{
    CompleteConfig, Completer, Completion, Content, DatabaseConfig, EnqueueConfig, Enqueuer,
    IncarnationId, JournalEntry, JournalOutcome, LeasedUnit, NewMessage, Origin, Queue, QueueId,
    Registration, Rest, Service, Settlement, Tenant, TraceParent,
};
use serde_json::Value;
use smtp::{Body, EnhancedStatus, Mailbox, ReversePath};
use testkit::TestDatabase;
use time::{Duration, OffsetDateTime};

use crate::operator::Operator;

/// A relay that says what came of its mail, and an operator who asks.
struct Post {
    database: TestDatabase,
    operator: Operator,
    queue: Queue,
    enqueuer: Enqueuer,
    completer: Completer,
    relay: IncarnationId,
}

impl Post {
    async fn new() -> Self {
        let database = testkit::database().await;
        let operator = Operator::of(&database);
        operator.succeeds(&["migrate"]);
        let config = DatabaseConfig::new(database.url());
        let queue = Queue::connect(&config).await.unwrap();
        let registration = Registration {
            address: "127.0.0.1:1".to_owned(),
            node: "mx1.example.org".to_owned(),
            version: "0".to_owned(),
        };
        Self {
            enqueuer: Enqueuer::start(&queue, EnqueueConfig::default()),
            completer: Completer::start(&queue, &CompleteConfig::new("mx1.example.org")),
            relay: queue.register(&registration).await.unwrap(),
            database,
            operator,
            queue,
        }
    }

    /// Accepts a message, leased to the relay; gives its units.
    async fn takes(&self, content: &str, recipients: &[&str]) -> (QueueId, Vec<LeasedUnit>) {
        let id = self.enqueuer.next_id();
        let recipients = recipients.iter().map(|text| Mailbox::parse(text).unwrap());
        let message = NewMessage {
            id,
            tenant: Tenant(1),
            reverse_path: ReversePath::from_address("alice@example.org").unwrap(),
            body: Body::SevenBit,
            recipients: recipients.collect(),
            content: Content::from(content.as_bytes().to_vec()),
            origin: Origin {
                client: Some([192, 0, 2, 1].into()),
                login: Some("alice@example.org".to_owned()),
                ..Origin::own(Service::Submission)
            },
            trace: TraceParent::generate(),
            expires_at: OffsetDateTime::now_utc() + Duration::days(5),
            lease_to: Some(self.relay),
        };
        (id, self.enqueuer.enqueue(message).await.unwrap().units)
    }

    async fn ends(&self, unit: LeasedUnit, outcome: JournalOutcome, reply: &str) {
        let numbers: Vec<i32> = unit.recipients.iter().map(|it| it.number).collect();
        let status = EnhancedStatus::new(
            if outcome == JournalOutcome::Delivered {
                2
            } else {
                4
            },
            0,
            0,
        );
        let entry = JournalEntry {
            recipients: numbers.clone(),
            outcome,
            status,
            reply: reply.to_owned(),
            source_address: None,
            host: Some("mx.example.net".to_owned()),
            host_address: Some([192, 0, 2, 25].into()),
            tls: Some("TLSv1.3 TLS_AES_256_GCM_SHA384".to_owned()),
            duration: std::time::Duration::from_millis(12),
        };
        let completion = if outcome == JournalOutcome::Delivered {
            let all = numbers
                .into_iter()
                .map(|number| (number, Settlement::Delivered));
            Completion::new(unit, all, Rest::Release { charge: true })
        } else {
            let due_at = OffsetDateTime::now_utc() + Duration::hours(1);
            let reply = reply.to_owned();
            Completion::new(
                unit,
                [],
                Rest::Defer {
                    due_at,
                    status,
                    reply,
                },
            )
        };
        let completion = completion.journalled([entry]);
        self.completer.complete(completion).await.unwrap();
    }
}

fn events(story: &Value) -> Vec<&str> {
    let events = story["events"].as_array().unwrap().iter();
    events
        .map(|event| event["event"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_message_that_is_gone_is_traced_by_any_of_its_names() {
    let post = Post::new().await;
    let content = "Message-ID: <one@app.example.org>\r\nSubject: hi\r\n\r\n";
    let (id, units) = post.takes(content, &["bob@example.net"]).await;
    let (other, _) = post
        .takes("Subject: hi\r\n\r\n", &["carol@example.com"])
        .await;
    for unit in units {
        post.ends(unit, JournalOutcome::Delivered, "250 2.0.0 taken")
            .await;
    }
    assert_eq!(
        post.operator.tells(&["queue", "list", &id.to_string()]),
        serde_json::json!([])
    );
    for name in [
        id.to_string().as_str(),
        "<one@app.example.org>",
        "one@app.example.org",
        "BOB@example.net",
        "*@example.net",
    ] {
        let stories = post.operator.tells(&["trace", name]);
        assert_eq!(stories.as_array().unwrap().len(), 1, "{name} {stories}");
        let story = &stories[0];
        assert_eq!(story["queue_id"], id.to_string());
        assert_eq!(story["message_id"], "one@app.example.org");
        assert_eq!(story["reverse_path"], "alice@example.org");
        assert_eq!(events(story), ["accepted", "delivered"]);
        assert_eq!(story["events"][1]["attempt"]["reply"], "250 2.0.0 taken");
        assert_eq!(story["queued"], serde_json::json!([]));
    }
    let words = post.operator.succeeds(&["trace", "bob@example.net"]);
    let expected = [
        "delivered",
        "mx.example.net [192.0.2.25]",
        "TLSv1.3",
        "12 ms",
        "250 2.0.0 taken",
    ];
    for part in expected {
        assert!(words.contains(part), "{part} is missing: {words}");
    }
    // What was not tried yet is found as well, and both by their sender; the newest comes first.
    let waiting = post.operator.tells(&["trace", "carol@example.com"]);
    assert_eq!(waiting[0]["events"][0]["origin"]["client"], "192.0.2.1");
    assert_eq!(waiting[0]["queued"][0]["state"], "leased");
    let both = post.operator.tells(&["trace", "alice@example.org"]);
    let ids: Vec<&str> = (0..2)
        .map(|i| both[i]["queue_id"].as_str().unwrap())
        .collect();
    assert!(ids.contains(&id.to_string().as_str()) && ids.contains(&other.to_string().as_str()));
    let complaint = post.operator.fails(&["trace", "nobody@example.net"]);
    assert!(complaint.contains("--since 7d"), "{complaint}");
}

#[tokio::test]
async fn a_message_id_is_found_before_the_first_attempt() {
    let post = Post::new().await;
    let content = "Received: x\r\nMessage-ID:\r\n <late@app.example.org>\r\n\r\n";
    let (id, _) = post.takes(content, &["bob@example.net"]).await;
    let answer = "In-Reply-To: <late@app.example.org>\r\nMessage-ID: <re@x>\r\n\r\n";
    post.takes(answer, &["bob@example.net"]).await;
    let stories = post.operator.tells(&["trace", "late@app.example.org"]);
    assert_eq!(stories.as_array().unwrap().len(), 1, "{stories}");
    assert_eq!(stories[0]["queue_id"], id.to_string());
    assert_eq!(stories[0]["message_id"], "late@app.example.org");
}

#[tokio::test]
async fn the_top_is_counted_and_tells_the_last_error() {
    let post = Post::new().await;
    let mut first = None;
    for _ in 0..2 {
        let (_, units) = post
            .takes("Subject: a\r\n\r\n", &["b@example.net", "c@example.net"])
            .await;
        for unit in units {
            post.ends(unit, JournalOutcome::Deferred, "451 4.3.0 greylisted")
                .await;
        }
        first.get_or_insert_with(OffsetDateTime::now_utc);
    }
    post.takes("Subject: b\r\n\r\n", &["d@example.com"]).await;
    let top = post.operator.tells(&["queue", "top"]);
    let domains: Vec<&str> = (0..2).map(|i| top[i]["domain"].as_str().unwrap()).collect();
    assert_eq!(domains, ["example.net", "example.com"]);
    assert_eq!(
        (&top[0]["units"], &top[0]["recipients"]),
        (&2.into(), &4.into())
    );
    assert_eq!(
        (&top[0]["deferred"], &top[1]["leased"]),
        (&2.into(), &1.into())
    );
    assert_eq!(top[0]["last_reply"], "451 4.3.0 greylisted");
    let table = post.operator.succeeds(&["queue", "top", "--limit", "1"]);
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(table.ends_with("  451 4.3.0 greylisted\n"), "{table}");
    assert_eq!(
        post.operator.tells(&["queue", "top", "--tenant", "2"]),
        serde_json::json!([])
    );
}

#[tokio::test]
async fn ages_choose_what_is_listed() {
    let post = Post::new().await;
    post.takes("Subject: a\r\n\r\n", &["b@example.net"]).await;
    let count = |arguments: [&str; 2]| {
        let listed = post
            .operator
            .tells(&["queue", "list", arguments[0], arguments[1]]);
        listed.as_array().unwrap().len()
    };
    assert_eq!(count(["--newer-than", "1h"]), 1);
    assert_eq!(count(["--older-than", "1h"]), 0);
    assert_eq!(count(["--older-than", "0s"]), 1);
}

#[tokio::test]
async fn mailq_looks_as_old_hands_know_it() {
    let post = Post::new().await;
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("mailq");
    symlink(env!("CARGO_BIN_EXE_chasqui"), &link).unwrap();
    let mailq = || {
        let mut command = Command::new(&link);
        command.env("DATABASE_URL", post.database.url());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(mailq(), "Mail queue is empty\n");

    let (id, units) = post
        .takes(
            &"x".repeat(1_500),
            &["bob@example.net", "carol@example.net"],
        )
        .await;
    for unit in units {
        post.ends(unit, JournalOutcome::Deferred, "451 4.3.0 later")
            .await;
    }
    post.queue
        .hold(&::queue::Filter::default(), "x", None, 10)
        .await
        .unwrap();
    let text = mailq();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "-Queue ID-                             --Size-- ----Arrival Time---- -Sender/Recipient-------"
    );
    assert!(lines[1].starts_with(&format!("{id}! ")), "{text}");
    assert!(lines[1].contains("     1500 "), "{text}");
    assert!(lines[1].ends_with(" alice@example.org"), "{text}");
    let sender = lines[1].find("alice").unwrap();
    assert_eq!(lines[3].find("bob@example.net"), Some(sender), "{text}");
    assert_eq!(lines[4].trim(), "carol@example.net");
    assert_eq!(*lines.last().unwrap(), "-- 2 Kbytes in 1 Request.");
}

/// A terminal is what `script` makes; it is part of every Debian.
#[tokio::test]
async fn colours_are_for_terminals_that_want_them() {
    let post = Post::new().await;
    post.takes("Subject: a\r\n\r\n", &["b@example.net"]).await;
    let on_terminal = |variable: (&str, &str)| {
        let chasqui = env!("CARGO_BIN_EXE_chasqui");
        let done = Command::new("script")
            .args(["-qec", &format!("{chasqui} queue list"), "/dev/null"])
            .env("DATABASE_URL", post.database.url())
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .env(variable.0, variable.1)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    assert!(on_terminal(("LANG", "C")).contains("\u{1b}["));
    for plain in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let text = on_terminal(plain);
        assert!(
            text.contains("b@example.net") && !text.contains("\u{1b}["),
            "{text:?}"
        );
    }
    let piped = post.operator.succeeds(&["queue", "list"]);
    assert!(!piped.contains("\u{1b}["), "{piped:?}");
}
