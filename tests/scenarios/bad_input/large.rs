//! Messages, lines and recipients beyond what we take.

use super::in_data;
use crate::fleet::{Fleet, begin_data, end_data, letter};

const LIMIT: usize = 65_536;

async fn fleet_of_small_messages() -> Fleet {
    Fleet::builder()
        .account("alice")
        .account("bob")
        .relay("inbound.message_size = \"64KiB\"")
        .submission("limits.message_size = \"64KiB\"")
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_too_large_is_refused_where_it_is_declared() {
    let fleet = fleet_of_small_messages().await;
    let mut talks = [fleet.talk().await, fleet.talk_as_alice().await];
    for talk in &mut talks {
        let declared = format!("MAIL FROM:<alice@example.test> SIZE={}", LIMIT + 1);
        let answer = talk.command(&declared, 552).await;
        assert!(answer.text().starts_with("5.3.4 "), "{}", answer.text());
        talk.command(&format!("MAIL FROM:<alice@example.test> SIZE={LIMIT}"), 250)
            .await;
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_too_large_is_refused_after_its_dot_where_it_is_not_declared() {
    let fleet = fleet_of_small_messages().await;
    for talk in &mut in_data(&fleet).await {
        let content = letter("large") + &"0123456789\r\n".repeat(LIMIT / 10);
        let answer = end_data(talk, &content).await;
        assert_eq!(answer.code, 552, "{}", answer.text());
        assert!(answer.text().starts_with("5.3.4 "), "{}", answer.text());
        begin_data(talk).await;
        let largest = letter("as large as may be");
        let filler = "x".repeat(1000) + "\r\n";
        let rest = filler.repeat((LIMIT - largest.len()) / filler.len());
        let answer = end_data(talk, &(largest + &rest)).await;
        assert_eq!(answer.code, 250, "{}", answer.text());
    }
    fleet.mail_of("bob", 2).await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("accepted").await, 2);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_too_long_is_refused_and_a_long_one_passes() {
    let fleet = Fleet::start().await;
    for talk in &mut in_data(&fleet).await {
        let content = letter("long line") + &"x".repeat(100_000);
        talk.send(format!("{content}\r\n.\r\n").as_bytes()).await;
        talk.expect(554).await;
        begin_data(talk).await;
        let content = letter("longish line") + &"x".repeat(5_000);
        talk.send(format!("{content}\r\n.\r\n").as_bytes()).await;
        talk.expect(250).await;
    }
    fleet.mail_of("bob", 2).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_beyond_the_limit_are_put_off() {
    let fleet = Fleet::builder()
        .account("bob")
        .relay("inbound.recipients = 100")
        .start()
        .await;
    let mut talk = fleet.talk().await;
    talk.command("MAIL FROM:<jo@far.test>", 250).await;
    for number in 0..100 {
        talk.command(&format!("RCPT TO:<bob+{number}@example.test>"), 250)
            .await;
    }
    let answer = talk.command("RCPT TO:<bob@example.test>", 452).await;
    assert!(answer.text().starts_with("4.5.3 "), "{}", answer.text());
    fleet.end().await;
}
