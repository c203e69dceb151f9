//! The connection breaks: nothing is lost, and nothing comes twice but what nobody can know about.

use std::time::Duration;

use testkit::{Action, Script, Sink, Stage, wait_until};

use super::fleet_before;
use crate::fleet::{Fleet, letter};

#[tokio::test(flavor = "multi_thread")]
async fn lost_in_the_midst_of_the_content_it_is_sent_again_and_arrives_once() {
    let sink = Sink::start(Script::new().first(1, Stage::Content, Action::Close)).await;
    let fleet = fleet_before(&sink).await;
    let content = letter("broken off") + &"0123456789\r\n".repeat(20_000);
    fleet.submit(&["jo@far.test"], &content).await;

    let message = sink.wait_for(1).await.remove(0);
    assert!(message.text().ends_with(&content[content.len() - 1000..]));
    fleet.queue_is_empty().await;
    assert_eq!(sink.messages().len(), 1);
    assert_eq!(sink.connections(), 2);
    assert_eq!(fleet.recipients("delivered").await, 1);
    assert_eq!(fleet.sql("SELECT count(*) FROM queue.destination").await, 0);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_after_the_final_dot_it_comes_again_since_nobody_knows() {
    let sink = Sink::start(Script::new().first(1, Stage::Dot, Action::Close)).await;
    let fleet = fleet_before(&sink).await;
    fleet
        .submit(&["jo@far.test"], &letter("no last word"))
        .await;

    sink.wait_for(1).await;
    fleet.queue_is_empty().await;
    assert_eq!(sink.messages().len(), 2, "a duplicate, and no loss");
    assert_eq!(fleet.recipients("delivered").await, 1);
    assert_eq!(fleet.attempts("deferred").await, 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_while_idle_it_is_opened_anew_and_nothing_is_deferred() {
    let sink = Sink::start(Script::new()).await;
    let address = sink.address();
    let fleet = Fleet::builder()
        .account("alice")
        .smart_host("*", address)
        .relay("outbound.idle = \"30s\"")
        .start()
        .await;
    fleet.submit(&["jo@far.test"], &letter("first")).await;
    sink.wait_for(1).await;
    fleet.queue_is_empty().await;
    assert_eq!(sink.open_connections(), 1, "kept for more");
    sink.stop().await;
    let sink = Sink::start_at((address.ip(), address.port()), Script::new()).await;
    fleet.submit(&["jo@far.test"], &letter("second")).await;

    sink.wait_for(1).await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.attempts("deferred").await, 0);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_midst_of_a_transaction_waits_for_its_end() {
    let delay = Action::Delay(Duration::from_millis(500));
    let sink = Sink::start(Script::new().on(Stage::Dot, delay)).await;
    let mut fleet = fleet_before(&sink).await;
    fleet
        .submit(&["jo@far.test"], &letter("in good order"))
        .await;
    wait_until("the final dot", async || !sink.messages().is_empty()).await;
    fleet.stop_relay(0).await;

    assert_eq!(sink.messages().len(), 1);
    assert!(sink.messages()[0].acknowledged);
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("delivered").await, 1);
    fleet.end().await;
}
