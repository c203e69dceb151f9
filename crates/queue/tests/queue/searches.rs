//! Searches: messages found by what people know of them.

use queue::{NewMessage, Search};
use time::OffsetDateTime;

use crate::support::{Fixture, execute, wait_for_blocked};

/// It goes from the queue into the journal, and a search looks at one after the other.
#[tokio::test]
async fn a_message_that_leaves_the_queue_during_a_search_is_found() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let message = NewMessage {
        content: b"Message-ID: <order-1@shop.example>\r\n\r\nHello\r\n"
            .to_vec()
            .into(),
        ..fixture.message(&["alice@example.com"])
    };
    let id = message.id;
    fixture.enqueuer.enqueue(message).await.unwrap();
    relay.claim_one().await;

    // The search comes as far as the queue, and there it waits until the message is gone.
    let mut connection = fixture.database.connect().await;
    execute(&mut connection, "BEGIN; LOCK TABLE queue.message").await;
    let queue = fixture.queue.clone();
    let search = tokio::spawn(async move {
        let search = Search {
            since: OffsetDateTime::now_utc() - time::Duration::HOUR,
            limit: 10,
            wanted: "order-1@shop.example",
        };
        queue.find_by_message_id(search).await
    });
    wait_for_blocked(&mut connection, 1).await;
    let delivered = format!(
        "DELETE FROM queue.message WHERE id = '{id}';
         DELETE FROM queue.unit WHERE message = '{id}';
         INSERT INTO queue.attempt (message, incarnation, delay_ms, duration_ms, unit, attempt, shard,
             fenced, node, domain, reverse_path, recipients, outcome, status, reply, traceparent, message_id)
         VALUES ('{id}', {holder}, 1, 1, 0, 1, queue.shard_of('{id}'), false, 'test-node', 'example.com', '', '{{}}',
             'delivered', '2.1.5', '', '', 'order-1@shop.example');
         COMMIT",
        holder = relay.id.0,
    );
    execute(&mut connection, &delivered).await;

    assert_eq!(search.await.unwrap().unwrap(), [id]);
}
