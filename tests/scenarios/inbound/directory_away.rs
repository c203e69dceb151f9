//! The delivery services are away: nobody is turned down, nothing is lost.

use crate::fleet::{Fleet, end_data, letter};

#[tokio::test(flavor = "multi_thread")]
async fn recipients_that_cannot_be_checked_are_put_off() {
    let mut fleet = Fleet::start().await;
    fleet.stop_delivery(0).await;
    let mut talk = fleet.talk().await;
    talk.command("MAIL FROM:<jo@far.test>", 250).await;
    for recipient in ["bob@example.test", "jo@far.test", "Postmaster"] {
        let answer = talk.command(&format!("RCPT TO:<{recipient}>"), 451).await;
        assert!(answer.text().starts_with("4.3.0 "), "{}", answer.text());
    }
    talk.command("RSET", 250).await;
    fleet.restart_delivery(0).await;

    let answer = talk
        .send_message("jo@far.test", &["bob@example.test"], &letter("later"))
        .await;
    assert_eq!(answer.code, 250, "{}", answer.text());
    fleet.first_mail_of("bob").await;
    fleet.queue_is_empty().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_mail_waits_for_delivery_and_is_delivered_once() {
    let mut fleet = Fleet::start().await;
    let mut talk = fleet.talk().await;
    talk.command("MAIL FROM:<jo@far.test>", 250).await;
    talk.command("RCPT TO:<bob@example.test>", 250).await;
    fleet.stop_delivery(0).await;
    talk.command("DATA", 354).await;
    let answer = end_data(&mut talk, &letter("patience")).await;
    assert_eq!(answer.code, 250, "{}", answer.text());
    let put_off = "SELECT count(*) FROM queue.attempts WHERE outcome = 'deferred'";
    testkit::wait_until("two attempts in vain", async || {
        fleet.sql(put_off).await >= 2
    })
    .await;
    fleet.restart_delivery(0).await;

    fleet.first_mail_of("bob").await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.mail_now("bob").len(), 1);
    assert_eq!(fleet.recipients("delivered").await, 1);
    assert_eq!(
        fleet.sql("SELECT count(*) FROM queue.destination").await,
        0,
        "we are no destination"
    );
    fleet.end().await;
}
