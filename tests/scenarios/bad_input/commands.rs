//! Commands that are too long, out of order, or no commands at all.

use testkit::SmtpTalk;

use crate::fleet::{Fleet, letter};

/// A connection to each of our ports that has said EHLO.
async fn talks(fleet: &Fleet) -> [SmtpTalk; 2] {
    [fleet.talk().await, fleet.talk_as_alice().await]
}

/// Whatever was said before, the session still takes a message.
async fn assert_usable(talk: &mut SmtpTalk) {
    talk.command("RSET", 250).await;
    let answer = talk
        .send_message("alice@example.test", &["bob@example.test"], &letter("fine"))
        .await;
    assert_eq!(answer.code, 250, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_too_long_is_refused_and_skipped_to_its_end() {
    let fleet = Fleet::start().await;
    for talk in &mut talks(&fleet).await {
        let long = format!("MAIL FROM:<{}@example.test>", "a".repeat(100_000));
        talk.command(&long, 500).await;
        assert_usable(talk).await;
    }
    fleet.mail_of("bob", 2).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_with_bare_line_ends_or_control_characters_are_no_commands() {
    let fleet = Fleet::start().await;
    for talk in &mut talks(&fleet).await {
        talk.send(b"MAIL FROM:<alice@example.test>\nRCPT TO:<bob@example.test>\r\n")
            .await;
        talk.expect(500).await;
        talk.expect(503).await;
        for line in [
            "MAIL FROM:<alice@example.test>\rRCPT TO:<bob@example.test>",
            "MAIL FROM:<alice\0@example.test>",
            "MAIL FROM:<alice\t@example.test>",
        ] {
            talk.command(line, 500).await;
        }
        talk.send(b"\xff\xfe\r\n").await;
        talk.expect(500).await;
        talk.command("RCPT TO:<bob@example.test>", 503).await;
        assert_usable(talk).await;
    }
    fleet.mail_of("bob", 2).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_out_of_order_are_refused() {
    let fleet = Fleet::start().await;
    let mut talk = SmtpTalk::connect(fleet.relay_address()).await;
    talk.expect(220).await;
    talk.command("MAIL FROM:<jo@far.test>", 503).await;
    talk.command("EHLO client.test", 250).await;
    talk.command("RCPT TO:<bob@example.test>", 503).await;
    talk.command("DATA", 503).await;
    talk.command("MAIL FROM:<jo@far.test>", 250).await;
    talk.command("MAIL FROM:<di@far.test>", 503).await;
    talk.command("DATA", 554).await;
    talk.command("AUTH PLAIN AGEAYg==", 502).await;
    talk.command("MAIL", 501).await;
    talk.command("NONSENSE", 500).await;
    assert_usable(&mut talk).await;
    fleet.first_mail_of("bob").await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_garbage_gets_an_answer_for_each_line_and_then_the_door() {
    let fleet = Fleet::start().await;
    for talk in &mut talks(&fleet).await {
        let sent = talk.try_send("garbage\r\n".repeat(1000).as_bytes()).await;
        let answers = talk.expect_end().await;
        assert!(answers.len() < 1000, "{sent}: nobody listens so long");
        let (last, others) = answers.split_last().unwrap();
        assert_eq!(last.code, 421, "{}", last.text());
        assert!(others.iter().all(|answer| answer.code == 500));
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_commands_are_answered_in_order() {
    let fleet = Fleet::start().await;
    let mut talk = fleet.talk().await;
    let content = letter("pipelined");
    let all = format!(
        "MAIL FROM:<jo@far.test>\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<bob@example.test>\r\n\
         DATA\r\n{content}.\r\nRSET\r\nQUIT\r\n"
    );
    talk.send(all.as_bytes()).await;
    let codes: Vec<u16> = talk
        .expect_end()
        .await
        .iter()
        .map(|answer| answer.code)
        .collect();
    assert_eq!(codes, [250, 550, 250, 354, 250, 250, 221]);
    fleet.first_mail_of("bob").await;
    fleet.end().await;
}
