//! The journal tells of a message by the name that its author gave it, also when the message is gone.

use testkit::{Script, Sink};

use super::fleet_before;
use crate::fleet::letter;

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_is_found_by_the_message_id() {
    let sink = Sink::start(Script::new().greylisting()).await;
    let fleet = fleet_before(&sink).await;
    let named = |subject| format!("Message-ID: <{subject}@app.test>\r\n{}", letter(subject));
    // Handed off with its content; then read back, since it is tried again.
    fleet.submit(&["jo@far.test"], &named("twice")).await;
    sink.wait_for(1).await;
    fleet.submit(&["bob"], &named("local")).await;
    fleet.queue_is_empty().await;

    for (message_id, attempts) in [("twice@app.test", 2), ("local@app.test", 1)] {
        let query =
            format!("SELECT count(*) FROM queue.attempts WHERE message_id = '{message_id}'");
        assert_eq!(fleet.sql(&query).await, attempts, "{message_id}");
    }
    fleet.end().await;
}
