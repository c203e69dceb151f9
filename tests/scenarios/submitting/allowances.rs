//! How much one account may send.

use crate::fleet::{Fleet, end_data, letter};

#[tokio::test(flavor = "multi_thread")]
async fn messages_beyond_the_hours_allowance_are_put_off() {
    let fleet = Fleet::builder()
        .account("alice")
        .account("bob")
        .submission("limits.messages_per_hour = 3")
        .start()
        .await;
    for _ in 0..3 {
        fleet.submit(&["bob"], &letter("within the hour")).await;
    }
    let mut talk = fleet.talk_as_alice().await;
    talk.command("MAIL FROM:<alice@example.test>", 250).await;
    talk.command("RCPT TO:<bob@example.test>", 250).await;
    let answer = talk.ask("DATA").await;
    assert!((450..460).contains(&answer.code), "{}", answer.text());

    fleet.mail_of("bob", 3).await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("accepted").await, 3);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_beyond_a_transactions_limit_are_put_off_and_the_first_are_served() {
    let fleet = Fleet::builder()
        .account("alice")
        .account("bob")
        .submission("limits.recipients = 100")
        .start()
        .await;
    let mut talk = fleet.talk_as_alice().await;
    talk.command("MAIL FROM:<alice@example.test>", 250).await;
    for number in 0..100 {
        let command = format!("RCPT TO:<bob+{number}@example.test>");
        talk.command(&command, 250).await;
    }
    let answer = talk.command("RCPT TO:<bob@example.test>", 452).await;
    assert!(answer.text().starts_with("4.5.3 "), "{}", answer.text());
    talk.command("DATA", 354).await;
    let answer = end_data(&mut talk, &letter("to a hundred")).await;
    assert_eq!(answer.code, 250, "{}", answer.text());

    fleet.mail_of("bob", 100).await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("delivered").await, 100);
    fleet.end().await;
}
