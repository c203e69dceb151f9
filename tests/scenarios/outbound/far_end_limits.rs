//! A far end that cannot take the message as it is: a report says so, and nothing broken is sent.

use testkit::{Script, Sink};

use super::fleet_before;
use crate::fleet::letter;

#[tokio::test(flavor = "multi_thread")]
async fn eight_bits_are_not_sent_to_who_takes_seven() {
    let sink = Sink::start(Script::new().without("8BITMIME")).await;
    let fleet = fleet_before(&sink).await;
    let mut content = letter("with eight bits").into_bytes();
    content.extend("Grüße\r\n".as_bytes());
    fleet.submit_bytes(&["jo@far.test"], &content).await;

    let report = fleet.first_mail_of("alice").await;
    report.assert_reports(&["jo@far.test", "Status: 5.6.3", "8BITMIME"]);
    assert!(report.bytes.is_ascii(), "a report passes anywhere");
    fleet.queue_is_empty().await;
    assert!(sink.messages().is_empty());
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_bits_are_sent_to_who_takes_seven() {
    let sink = Sink::start(Script::new().without("8BITMIME")).await;
    let fleet = fleet_before(&sink).await;
    fleet.submit(&["jo@far.test"], &letter("plain")).await;

    let message = sink.wait_for(1).await.remove(0);
    assert!(
        !message.parameters.contains("BODY"),
        "{}",
        message.parameters
    );
    fleet.queue_is_empty().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_bits_are_declared_and_pass_unchanged() {
    let sink = Sink::start(Script::new()).await;
    let fleet = fleet_before(&sink).await;
    let mut content = letter("with eight bits").into_bytes();
    content.extend([0xFF, 0x80, b'\r', b'\n']);
    fleet.submit_bytes(&["jo@far.test"], &content).await;

    let message = sink.wait_for(1).await.remove(0);
    assert!(
        message.parameters.contains("BODY=8BITMIME"),
        "{}",
        message.parameters
    );
    assert!(message.content.ends_with(&[0xFF, 0x80, b'\r', b'\n']));
    fleet.queue_is_empty().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_larger_than_the_far_end_takes_is_not_begun() {
    let sink = Sink::start(Script::new().offering("SIZE 1000")).await;
    let fleet = fleet_before(&sink).await;
    let content = letter("too large") + &"0123456789\r\n".repeat(100);
    fleet.submit(&["jo@far.test"], &content).await;

    let report = fleet.first_mail_of("alice").await;
    report.assert_reports(&["jo@far.test", "Status: 5.3.4", "1000 octets"]);
    fleet.queue_is_empty().await;
    let began = |line: &String| line.starts_with("MAIL");
    assert!(
        !sink.commands(1).iter().any(began),
        "{:?}",
        sink.commands(1)
    );
    fleet.end().await;
}
