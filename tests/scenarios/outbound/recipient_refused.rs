//! The far end refuses recipients, or the message: who is refused is reported, once, and nobody else.

use testkit::{Action, Script, Sink, Stage};

use super::fleet_before;
use crate::fleet::letter;

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_refused_makes_one_report_and_two_deliveries() {
    let script = Script::new().recipient("no@far.test", "550 5.1.1 Nobody by that name");
    let sink = Sink::start(script).await;
    let fleet = fleet_before(&sink).await;
    fleet
        .submit(
            &["jo@far.test", "no@far.test", "di@far.test"],
            &letter("to three"),
        )
        .await;

    let report = fleet.first_mail_of("alice").await;
    report.assert_reports(&[
        "Final-Recipient: rfc822; no@far.test",
        "Action: failed",
        "Status: 5.1.1",
        "550 5.1.1 Nobody by that name",
        "Reporting-MTA: dns; mx1.fleet.test",
    ]);
    assert!(!report.text().contains("jo@far.test"), "{}", report.text());
    fleet.queue_is_empty().await;
    let messages = sink.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].recipients, ["jo@far.test", "di@far.test"]);
    assert_eq!(fleet.mail_now("alice").len(), 1);
    assert_eq!(fleet.recipients("failed").await, 1);
    assert_eq!(fleet.recipients("delivered").await, 3, "two and the report");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_refused_of_one_message_share_a_report() {
    let script = Script::new()
        .recipient("no@far.test", "550 5.1.1 Nobody by that name")
        .recipient("full@far.test", "552 5.2.2 Mailbox full");
    let sink = Sink::start(script).await;
    let fleet = fleet_before(&sink).await;
    fleet
        .submit(&["no@far.test", "full@far.test"], &letter("to two"))
        .await;

    let report = fleet.first_mail_of("alice").await;
    report.assert_reports(&["no@far.test", "5.1.1", "full@far.test", "5.2.2"]);
    fleet.queue_is_empty().await;
    assert_eq!(fleet.mail_now("alice").len(), 1);
    assert!(sink.messages().is_empty());
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_refused_after_the_final_dot_is_reported_for_all() {
    let refusal = Action::reply("554 5.7.1 Not this message");
    let sink = Sink::start(Script::new().on(Stage::Dot, refusal)).await;
    let fleet = fleet_before(&sink).await;
    fleet
        .submit(&["jo@far.test", "di@far.test"], &letter("unwanted"))
        .await;

    let report = fleet.first_mail_of("alice").await;
    report.assert_reports(&["jo@far.test", "di@far.test", "554 5.7.1 Not this message"]);
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("failed").await, 2);
    assert_eq!(fleet.sql("SELECT count(*) FROM queue.destination").await, 0);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_put_off_after_the_final_dot_comes_again() {
    let later = Action::reply("451 4.3.0 Later");
    let sink = Sink::start(Script::new().first(2, Stage::Dot, later)).await;
    let fleet = fleet_before(&sink).await;
    fleet.submit(&["jo@far.test"], &letter("third time")).await;

    sink.wait_for(1).await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.attempts("deferred").await, 2);
    assert_eq!(fleet.sql("SELECT count(*) FROM queue.destination").await, 0);
    assert!(fleet.mail_now("alice").is_empty());
    fleet.end().await;
}
