//! A message far larger than what is kept at hand, to a mailbox and to a far end.

use testkit::{Script, Sink};

use crate::fleet::{Fleet, letter};

/// More than any one buffer, frame or credit on the way holds.
const LINES: usize = 160_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_arrives_as_it_was_sent() {
    let sink = Sink::start(Script::new()).await;
    let fleet = Fleet::builder()
        .account("alice")
        .account("bob")
        .smart_host("*", sink.address())
        .start()
        .await;
    let mut content = letter("large");
    for number in 0..LINES {
        content.push_str(&format!(
            ". line {number} of a message with dots to stuff\r\n"
        ));
    }
    fleet.submit(&["bob", "jo@far.test"], &content).await;

    let arrived = sink.wait_for(1).await.remove(0);
    assert!(
        arrived.content.ends_with(content.as_bytes()),
        "changed on its way to the far end"
    );
    let mail = fleet.first_mail_of("bob").await;
    assert!(
        mail.bytes.ends_with(content.as_bytes()),
        "changed on its way to the mailbox"
    );
    fleet.queue_is_empty().await;
    assert_eq!(fleet.attempts("deferred").await, 0);
    fleet.end().await;
}
