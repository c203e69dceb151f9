//! A far end that knows nothing of extensions (RFC 5321 §3.2).

use testkit::{Action, Script, Sink, Stage};

use super::fleet_before;
use crate::fleet::letter;

#[tokio::test(flavor = "multi_thread")]
async fn a_far_end_that_does_not_know_ehlo_is_told_helo() {
    let unknown = Action::reply("500 What?");
    let sink = Sink::start(Script::new().on(Stage::Hello, unknown)).await;
    let fleet = fleet_before(&sink).await;
    fleet
        .submit(&["jo@far.test", "di@far.test"], &letter("plain old"))
        .await;

    let message = sink.wait_for(1).await.remove(0);
    assert_eq!(message.hello, "mx1.fleet.test");
    assert_eq!(message.parameters, "");
    fleet.queue_is_empty().await;
    assert_eq!(sink.connections(), 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_far_end_without_pipelining_is_waited_for_at_each_command() {
    let script = Script::new().without("PIPELINING").without("SIZE");
    let sink = Sink::start(script).await;
    let fleet = fleet_before(&sink).await;
    fleet
        .submit(&["jo@far.test", "di@far.test"], &letter("step by step"))
        .await;

    sink.wait_for(1).await;
    fleet.queue_is_empty().await;
    assert_eq!(sink.complaints(), Vec::<String>::new());
    fleet.end().await;
}
