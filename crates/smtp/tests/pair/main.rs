//! A client session talks to a server session, with nothing but time between them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod harness;
mod properties;

use std::time::Duration;

use smtp::client::{Ending, NotBegun, RecipientResult, Stage};
use smtp::server::Config;
use smtp::{Body, Dialect, Reply};

use harness::{Message, Pair, Plan, Policy, Question, Received, ended_by_quit, reply, smtp_server};

const CONTENT: &[u8] = b"Subject: hi\r\n\r\n.\r\n..\r\nbye\r\n";

fn plan(messages: Vec<Message>) -> Plan {
    Plan {
        messages,
        ..Plan::default()
    }
}

#[test]
fn pipelined_messages_arrive() {
    let messages = vec![
        Message::new(&["a@example.net", "b@example.net"], CONTENT),
        Message::new(&["c@example.net"], b"no line end"),
        Message::new(&["d@example.net"], b""),
    ];
    let mut pair = Pair::new(smtp_server(), Policy::default(), plan(messages));
    pair.run();
    let contents: Vec<&[u8]> = pair.received.iter().map(|m| m.content.as_slice()).collect();
    assert_eq!(contents, [CONTENT, b"no line end\r\n", b""]);
    assert_eq!(
        pair.received[0].recipients,
        ["a@example.net", "b@example.net"]
    );
    assert!(
        pair.results
            .iter()
            .all(|r| r.recipients.iter().all(RecipientResult::is_accepted))
    );
    assert!(ended_by_quit(&pair));
    // EHLO, three times commands and content, QUIT.
    assert_eq!(pair.flights, 8);
}

#[test]
fn without_pipelining_commands_go_one_by_one() {
    let policy = Policy {
        ehlo: reply(502, (5, 5, 1), "what?"),
        ..Policy::default()
    };
    let message = Message::new(&["a@example.net", "b@example.net"], CONTENT);
    let mut pair = Pair::new(smtp_server(), policy, plan(vec![message]));
    pair.run();
    assert_eq!(pair.received.len(), 1);
    assert_eq!(pair.received[0].content, CONTENT);
    assert_eq!(pair.accepted(), [true, true]);
    // EHLO, HELO, MAIL, RCPT, RCPT, DATA, content, QUIT.
    assert_eq!(pair.flights, 8);
}

#[test]
fn nothing_in_plaintext_survives_starttls() {
    let mut config = smtp_server();
    config.start_tls = true;
    let plan = Plan {
        start_tls: true,
        injected: Some((
            "MAIL FROM:<mallory@example.com>\r\nRCPT TO:<",
            "250-injected\r\n250 SIZE 1\r\n250-",
        )),
        messages: vec![Message::new(&["a@example.net"], CONTENT)],
        ..Plan::default()
    };
    let mut pair = Pair::new(config, Policy::default(), plan);
    pair.run();
    assert_eq!(
        pair.received,
        [Received {
            recipients: vec!["a@example.net".to_owned()],
            content: CONTENT.to_vec(),
            tls: true,
        }]
    );
    assert!(pair.client.is_tls());
    assert!(!pair.client.extensions().start_tls());
    assert!(ended_by_quit(&pair));
}

#[test]
fn recipients_above_the_limit_come_in_next_transactions() {
    let mut config = smtp_server();
    config.max_recipients = 100;
    let recipients: Vec<String> = (0..250).map(|n| format!("user{n}@example.net")).collect();
    let names: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let messages = vec![Message::new(&names, CONTENT)];
    let mut pair = Pair::new(config, Policy::default(), plan(messages));
    pair.run();
    let sizes: Vec<usize> = pair.received.iter().map(|m| m.recipients.len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
    let arrived: Vec<String> = pair
        .received
        .into_iter()
        .flat_map(|m| m.recipients)
        .collect();
    assert_eq!(arrived, recipients);
}

#[test]
fn lmtp_has_an_outcome_per_recipient() {
    let policy = Policy {
        rcpt: Box::new(|to| match to {
            "nobody@example.net" => reply(550, (5, 1, 1), "who?"),
            _ => Reply::ok("ok"),
        }),
        accept: Box::new(|to| match to {
            "full@example.net" => reply(452, (4, 2, 2), "full"),
            _ => Reply::ok(format!("{to} has it")),
        }),
        ..Policy::default()
    };
    let to = ["full@example.net", "nobody@example.net", "ok@example.net"];
    let messages = vec![Message::new(&to, CONTENT), Message::new(&to[2..], CONTENT)];
    let config = Config::new(Dialect::Lmtp, "store.example.net");
    let mut pair = Pair::new(config, policy, plan(messages));
    pair.run();
    assert_eq!(
        pair.results[0].recipients,
        [
            RecipientResult::Refused {
                stage: Stage::FinalDot,
                reply: reply(452, (4, 2, 2), "full"),
            },
            RecipientResult::Refused {
                stage: Stage::Rcpt,
                reply: reply(550, (5, 1, 1), "who?"),
            },
            RecipientResult::Accepted(Reply::ok("ok@example.net has it")),
        ]
    );
    assert_eq!(pair.accepted(), [true]);
    assert!(ended_by_quit(&pair));
}

#[test]
fn what_the_server_cannot_take_is_not_begun() {
    let mut config = smtp_server();
    config.max_message_size = 1_000;
    let eight_bit = Message {
        body: Body::EightBitMime,
        ..Message::new(&["b@example.net"], b"caf\xc3\xa9\r\n")
    };
    let large = Message::new(&["a@example.net"], &b"x\r\n".repeat(334));
    let messages = vec![large.clone(), eight_bit.clone()];
    let mut pair = Pair::new(config, Policy::default(), plan(messages));
    pair.run();
    assert_eq!(pair.not_begun, [NotBegun::TooLarge { limit: 1_000 }]);
    assert_eq!(pair.received.len(), 1);

    let policy = Policy {
        ehlo: reply(502, (5, 5, 1), "what?"),
        ..Policy::default()
    };
    let mut pair = Pair::new(smtp_server(), policy, plan(vec![eight_bit, large]));
    pair.run();
    assert_eq!(pair.not_begun, [NotBegun::Unsupported8Bit]);
    assert_eq!(pair.received.len(), 1);
}

#[test]
fn a_server_that_falls_silent_is_left_when_its_time_is_over() {
    for (silent_at, stage, minutes) in [
        (Question::Greet, Stage::Greeting, 5),
        (Question::Hello, Stage::Hello, 5),
        (Question::Mail, Stage::Mail, 5),
        (Question::Rcpt, Stage::Rcpt, 5),
        (Question::Data, Stage::Data, 2),
        (Question::ContentEnd, Stage::FinalDot, 10),
    ] {
        let policy = Policy {
            silent_at: Some(silent_at),
            ..Policy::default()
        };
        let messages = vec![Message::new(&["a@example.net"], CONTENT)];
        let mut pair = Pair::new(smtp_server(), policy, plan(messages));
        pair.run();
        assert_eq!(pair.closed, Some((stage, Ending::TimedOut)));
        assert_eq!(pair.elapsed(), Duration::from_secs(60 * minutes));
        let interrupted = RecipientResult::Interrupted {
            stage,
            ending: Ending::TimedOut,
        };
        let results: Vec<_> = pair
            .results
            .iter()
            .flat_map(|r| r.recipients.clone())
            .collect();
        if stage < Stage::Ready {
            assert_eq!(results, []);
        } else {
            assert_eq!(results, [interrupted]);
        }
    }
}

#[test]
fn a_client_that_falls_silent_is_told_so() {
    let plan = Plan {
        stalls_at_content: true,
        messages: vec![Message::new(&["a@example.net"], CONTENT)],
        ..Plan::default()
    };
    let mut pair = Pair::new(smtp_server(), Policy::default(), plan);
    pair.run();
    let RecipientResult::Refused { stage, reply } = &pair.results[0].recipients[0] else {
        panic!("{:?}", pair.results);
    };
    assert_eq!((*stage, reply.code.as_u16()), (Stage::Content, 421));
    assert_eq!(pair.elapsed(), Duration::from_secs(180));
    assert_eq!(pair.received, []);
}
