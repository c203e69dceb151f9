//! Postgres is stopped: mail is put off, and taken again when it is back, without a restart of ours.

use testkit::wait_until;

use crate::fleet::{Fleet, begin_data, end_data, letter};

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_mail_is_put_off_and_afterwards_taken() {
    let postgres = testkit::postgres().await;
    let fleet = Fleet::builder()
        .on(postgres.database().await)
        .account("alice")
        .account("bob")
        .start()
        .await;
    let mut relay = fleet.talk().await;
    let mut submission = fleet.talk_as_alice().await;
    for talk in [&mut relay, &mut submission] {
        begin_data(talk).await;
    }
    postgres.stop().await;
    for talk in [&mut relay, &mut submission] {
        let answer = end_data(talk, &letter("put off")).await;
        assert_eq!(answer.code, 451, "{}", answer.text());
        assert!(answer.text().starts_with("4.3.0 "), "{}", answer.text());
    }
    postgres.start().await;

    wait_until("mail to be taken again", async || {
        let mut talk = fleet.talk().await;
        talk.command("MAIL FROM:<jo@far.test>", 250).await;
        if talk.ask("RCPT TO:<bob@example.test>").await.code != 250 {
            return false;
        }
        talk.command("DATA", 354).await;
        end_data(&mut talk, &letter("taken")).await.code == 250
    })
    .await;
    let mails = fleet.mail_of("bob", 1).await;
    assert_eq!(mails[0].fields("Subject"), ["taken"]);
    fleet.queue_is_empty().await;
    assert_eq!(
        fleet.recipients("accepted").await,
        1,
        "what was put off was not queued"
    );
    fleet.end().await;
}
