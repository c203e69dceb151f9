//! Clients that open more than they may, or leave in the middle.

use testkit::{SmtpTalk, wait_until};

use crate::fleet::{Fleet, begin_data, letter};

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_an_addresss_limit_are_turned_away_until_one_ends() {
    let fleet = Fleet::builder()
        .account("bob")
        .relay("listen = [{ address = \"127.0.0.1:0\", max_connections_per_address = 2 }]")
        .start()
        .await;
    let first = fleet.talk().await;
    let _second = fleet.talk().await;
    let mut third = SmtpTalk::connect(fleet.relay_address()).await;
    let answer = third.expect(421).await;
    assert!(answer.text().starts_with("4.7.0 "), "{}", answer.text());
    drop(first);

    wait_until("room for another", async || {
        let mut talk = SmtpTalk::connect(fleet.relay_address()).await;
        talk.next_answer()
            .await
            .is_some_and(|answer| answer.code == 220)
    })
    .await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_final_dot_leaves_nothing() {
    let fleet = Fleet::start().await;
    let mut talk = fleet.talk().await;
    begin_data(&mut talk).await;
    talk.send(letter("unfinished").as_bytes()).await;
    talk.send(b".\r").await;
    drop(talk);
    let answer = fleet
        .inject("jo@far.test", &["bob@example.test"], &letter("finished"))
        .await;
    assert_eq!(answer.code, 250);

    let mails = fleet.mail_of("bob", 1).await;
    fleet.queue_is_empty().await;
    assert_eq!(mails[0].fields("Subject"), ["finished"]);
    assert_eq!(fleet.recipients("accepted").await, 1);
    fleet.end().await;
}
