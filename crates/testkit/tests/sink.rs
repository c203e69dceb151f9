//! The far end takes mail, and misbehaves exactly as it is told.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use testkit::{Action, Script, Sink, SmtpTalk, Stage, TestCertificate, wait_until};

const MESSAGE: &str = "Subject: hello\r\n\r\n.dots\r\n..\r\nend\r\n";

async fn send(sink: &Sink, to: &[&str]) -> u16 {
    let mut talk = SmtpTalk::hello(sink.address()).await;
    talk.send_message("alice@example.org", to, MESSAGE)
        .await
        .code
}

#[tokio::test]
async fn a_message_is_kept_as_it_was_meant() {
    let sink = Sink::start(Script::new()).await;
    assert_eq!(
        send(&sink, &["bob@example.net", "carol@example.net"]).await,
        250
    );
    let messages = sink.wait_for(1).await;
    assert_eq!(messages[0].reverse_path, "alice@example.org");
    assert_eq!(
        messages[0].recipients,
        ["bob@example.net", "carol@example.net"]
    );
    assert_eq!(messages[0].text(), MESSAGE);
    assert_eq!(messages[0].hello, "client.test");
    assert!(!messages[0].tls);
    assert_eq!(sink.connections(), 1);
    let commands = sink.commands(1);
    assert_eq!(commands.first().unwrap(), "EHLO client.test");
    assert_eq!(commands.last().unwrap(), "DATA");
    assert_eq!(sink.complaints(), [""; 0]);
}

#[tokio::test]
async fn content_may_be_empty_or_begin_with_a_dot() {
    let sink = Sink::start(Script::new()).await;
    let mut talk = SmtpTalk::hello(sink.address()).await;
    for content in ["", ".\r\n", "..\r\n"] {
        let answer = talk.send_message("", &["bob@example.net"], content).await;
        assert_eq!(answer.code, 250);
    }
    let contents: Vec<String> = sink
        .messages()
        .iter()
        .map(|message| message.text())
        .collect();
    assert_eq!(contents, ["", ".\r\n", "..\r\n"]);
}

#[tokio::test]
async fn tls_can_be_offered() {
    let certificate = TestCertificate::self_signed(&["localhost"]);
    let sink = Sink::start(Script::new().starttls(&certificate)).await;
    let mut talk = SmtpTalk::connect(sink.address()).await;
    talk.expect(220).await;
    let offered = talk.command("EHLO client.test", 250).await;
    assert!(offered.lines.contains(&"STARTTLS".to_owned()));
    let mut talk = talk.starttls().await;
    let offered = talk.command("EHLO client.test", 250).await;
    assert!(!offered.lines.contains(&"STARTTLS".to_owned()));
    talk.send_message("", &["bob@example.net"], MESSAGE).await;
    assert!(sink.messages()[0].tls);
}

#[tokio::test]
async fn a_handshake_can_fail() {
    let certificate = TestCertificate::self_signed(&["localhost"]);
    let script = Script::new().starttls(&certificate);
    let sink = Sink::start(script.on(Stage::Handshake, Action::Close)).await;
    let mut talk = SmtpTalk::hello(sink.address()).await;
    talk.command("STARTTLS", 220).await;
    assert_eq!(talk.expect_end().await, []);
}

#[tokio::test]
async fn a_stage_can_be_refused_delayed_or_cut() {
    let sink = Sink::start(Script::new().on(Stage::Greeting, Action::reply("554 no"))).await;
    let mut talk = SmtpTalk::connect(sink.address()).await;
    talk.expect(554).await;
    talk.command("EHLO client.test", 503).await;
    talk.command("QUIT", 221).await;

    sink.set(Script::new().on(Stage::Mail, Action::reply_and_close("421 4.3.2 bye")));
    let mut talk = SmtpTalk::hello(sink.address()).await;
    talk.command("MAIL FROM:<>", 421).await;
    assert_eq!(talk.expect_end().await, []);

    sink.set(Script::new().on(Stage::Data, Action::Delay(Duration::from_millis(1))));
    assert_eq!(send(&sink, &["bob@example.net"]).await, 250);

    sink.set(Script::new().on(Stage::Content, Action::Close));
    let mut talk = SmtpTalk::hello(sink.address()).await;
    talk.command("MAIL FROM:<>", 250).await;
    talk.command("RCPT TO:<bob@example.net>", 250).await;
    talk.command("DATA", 354).await;
    talk.send(b"Subject: half").await;
    assert_eq!(talk.expect_end().await, []);
    assert_eq!(sink.messages().len(), 1);
}

#[tokio::test]
async fn a_message_can_be_taken_without_a_word() {
    let sink = Sink::start(Script::new().first(1, Stage::Dot, Action::Close)).await;
    let mut talk = SmtpTalk::hello(sink.address()).await;
    talk.command("MAIL FROM:<>", 250).await;
    talk.command("RCPT TO:<bob@example.net>", 250).await;
    talk.command("DATA", 354).await;
    talk.send(b"Subject: x\r\n\r\n.\r\n").await;
    assert_eq!(talk.expect_end().await, []);
    let acknowledged = |sink: &Sink| -> Vec<bool> {
        let messages = sink.messages();
        messages
            .iter()
            .map(|message| message.acknowledged)
            .collect()
    };
    assert_eq!(acknowledged(&sink), [false]);
    assert_eq!(send(&sink, &["bob@example.net"]).await, 250);
    assert_eq!(acknowledged(&sink), [false, true]);
}

#[tokio::test]
async fn a_stalled_session_notices_that_its_client_has_gone() {
    let sink = Sink::start(Script::new().on(Stage::Mail, Action::Stall)).await;
    let mut talk = SmtpTalk::hello(sink.address()).await;
    talk.say("MAIL FROM:<>").await;
    talk.expect_silence(Duration::from_millis(50)).await;
    assert_eq!(sink.open_connections(), 1);
    drop(talk);
    wait_until("no connection", async || sink.open_connections() == 0).await;
    assert_eq!(sink.most_open_connections(), 1);
}

#[tokio::test]
async fn recipients_are_answered_one_by_one() {
    let script = Script::new()
        .recipient("nobody@example.net", "550 5.1.1 no such user")
        .at_most_recipients(2)
        .greylisting();
    let sink = Sink::start(script).await;
    let mut talk = SmtpTalk::hello(sink.address()).await;
    for (recipient, code) in [
        ("nobody", 550),
        ("a", 451),
        ("a", 250),
        ("b", 451),
        ("b", 250),
        ("c", 451),
        ("c", 452),
    ] {
        if code == 550 {
            talk.command("MAIL FROM:<>", 250).await;
        }
        let line = format!("RCPT TO:<{recipient}@example.net>");
        talk.command(&line, code).await;
    }
}

#[tokio::test]
async fn bad_manners_are_noticed() {
    let script = Script::new().without("PIPELINING").without("SIZE");
    let sink = Sink::start(script).await;
    let mut talk = SmtpTalk::hello(sink.address()).await;
    talk.send(b"MAIL FROM:<> SIZE=10\r\nRCPT TO:<bob@example.net>\r\n")
        .await;
    talk.expect(250).await;
    talk.expect(250).await;
    let complaints = sink.complaints();
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints[0].contains("SIZE"), "{complaints:?}");
    assert!(complaints[1].contains("PIPELINING"), "{complaints:?}");
}
