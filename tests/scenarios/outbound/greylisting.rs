//! The far end puts recipients off: they are tried again, and the destination stays open for others.

use testkit::{Script, Sink};

use super::fleet_before;
use crate::fleet::letter;

#[tokio::test(flavor = "multi_thread")]
async fn greylisted_mail_is_tried_again_and_the_destination_is_not_suspended() {
    let sink = Sink::start(Script::new().greylisting()).await;
    let fleet = fleet_before(&sink).await;
    fleet
        .submit(&["jo@far.test", "di@far.test"], &letter("come back later"))
        .await;

    let message = sink.wait_for(1).await.remove(0);
    assert_eq!(
        message.recipients.len(),
        2,
        "both were due at the same time"
    );
    fleet.queue_is_empty().await;
    assert_eq!(fleet.attempts("deferred").await, 1);
    assert_eq!(fleet.sql("SELECT count(*) FROM queue.destination").await, 0);
    assert!(fleet.mail_now("alice").is_empty());
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_to_others_there_does_not_wait_for_what_is_put_off() {
    let script = Script::new().recipient("later@far.test", "450 4.2.0 Later");
    let sink = Sink::start(script).await;
    let fleet = fleet_before(&sink).await;
    fleet.submit(&["later@far.test"], &letter("put off")).await;
    fleet
        .sql_gives("SELECT count(*) FROM queue.units WHERE tries > 0", 1)
        .await;
    fleet.submit(&["jo@far.test"], &letter("at once")).await;

    assert_eq!(sink.wait_for(1).await[0].recipients, ["jo@far.test"]);
    fleet
        .sql_gives("SELECT sum(queued)::bigint FROM queue.balance", 1)
        .await;
    sink.set(Script::new());
    sink.wait_for(2).await;
    fleet.queue_is_empty().await;
    fleet.end().await;
}
