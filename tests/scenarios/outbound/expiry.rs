//! Mail that could not be delivered in its time: the sender is told, with the far end's last words.

use testkit::{Action, Script, Sink, Stage};

use crate::fleet::{Fleet, letter};

async fn assert_expires(script: Script, words: &[&str]) {
    let sink = Sink::start(script).await;
    let fleet = Fleet::builder()
        .account("alice")
        .smart_host("*", sink.address())
        .submission("limits.expire_after = \"2s\"")
        .start()
        .await;
    fleet.submit(&["jo@far.test"], &letter("in vain")).await;

    let report = fleet.first_mail_of("alice").await;
    report.assert_reports(&["jo@far.test", "Action: failed", "in vain"]);
    report.assert_reports(words);
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("expired").await, 1);
    assert_eq!(fleet.mail_now("alice").len(), 1);
    assert!(
        fleet
            .sql("SELECT max(attempt)::bigint FROM queue.attempt")
            .await
            >= 2,
        "it was tried again"
    );
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_recipient_that_was_put_off_all_the_time() {
    let script = Script::new().on(Stage::Rcpt, Action::reply("450 4.2.1 Come back later"));
    assert_expires(script, &["450 4.2.1 Come back later"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_destination_that_was_down_all_the_time() {
    let script = Script::new().on(Stage::Greeting, Action::reply("421 4.3.2 Down for repair"));
    assert_expires(script, &["Down for repair"]).await;
}
