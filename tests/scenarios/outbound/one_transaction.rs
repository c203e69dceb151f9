//! Recipients of one next hop share a transaction, as far as the far end takes them.

use testkit::{Script, Sink};

use super::fleet_before;
use crate::fleet::letter;

#[tokio::test(flavor = "multi_thread")]
async fn recipients_of_several_domains_with_one_next_hop_get_one_copy() {
    let sink = Sink::start(Script::new()).await;
    let fleet = fleet_before(&sink).await;
    let recipients = ["jo@one.test", "Di@ONE.test", "jo@two.test", "jo@three.test"];
    fleet.submit(&recipients, &letter("together")).await;

    let mut message = sink.wait_for(1).await.remove(0);
    message.recipients.sort();
    assert_eq!(
        message.recipients,
        ["Di@one.test", "jo@one.test", "jo@three.test", "jo@two.test"],
        "local parts stay as they were spelt"
    );
    fleet.queue_is_empty().await;
    assert_eq!(sink.messages().len(), 1);
    assert_eq!(fleet.recipients("delivered").await, 4);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_that_are_too_many_follow_on_the_same_connection() {
    let sink = Sink::start(Script::new().at_most_recipients(3)).await;
    let fleet = fleet_before(&sink).await;
    let recipients: Vec<String> = (0..7)
        .map(|number| format!("user{number}@far.test"))
        .collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    fleet.submit(&recipients, &letter("three at a time")).await;

    let messages = sink.wait_for(3).await;
    fleet.queue_is_empty().await;
    let transactions: Vec<usize> = messages
        .iter()
        .map(|message| message.recipients.len())
        .collect();
    assert_eq!(transactions, [3, 3, 1]);
    let mut reached: Vec<String> = messages
        .into_iter()
        .flat_map(|message| message.recipients)
        .collect();
    reached.sort();
    assert_eq!(reached, recipients);
    assert_eq!(sink.connections(), 1);
    assert_eq!(fleet.attempts("deferred").await, 0);
    assert_eq!(sink.complaints(), Vec::<String>::new());
    fleet.end().await;
}
