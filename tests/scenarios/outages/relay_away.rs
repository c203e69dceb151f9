//! No relay is there: mail is taken all the same, and sent when one is back.

use testkit::{Script, Sink};

use crate::fleet::{Fleet, letter};

#[tokio::test(flavor = "multi_thread")]
async fn mail_submitted_while_no_relay_is_there_is_sent_by_the_next_one() {
    let sink = Sink::start(Script::new()).await;
    let mut fleet = Fleet::builder()
        .account("alice")
        .account("bob")
        .smart_host("*", sink.address())
        .start()
        .await;
    fleet.stop_relay(0).await;
    fleet
        .submit(&["jo@far.test", "bob"], &letter("patience"))
        .await;
    assert_eq!(fleet.recipients("queued").await, 2);
    fleet.restart_relay(0).await;

    sink.wait_for(1).await;
    fleet.first_mail_of("bob").await;
    fleet.queue_is_empty().await;
    fleet.hand_off_stands().await;
    fleet.submit(&["jo@far.test"], &letter("at once")).await;
    sink.wait_for(2).await;
    fleet.queue_is_empty().await;
    fleet.end().await;
}
