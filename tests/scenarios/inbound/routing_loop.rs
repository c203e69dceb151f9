//! A message that went through too many hands goes round (RFC 5321 §6.3).

use crate::fleet::{Fleet, letter};

fn through(hops: usize) -> String {
    "Received: from a by b; Mon, 23 Nov 2026 10:00:00 +0000\r\n".repeat(hops) + &letter("round")
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_hundred_hops_are_a_loop_and_a_hundred_are_not() {
    let fleet = Fleet::start().await;
    let loops = fleet
        .inject("jo@far.test", &["bob@example.test"], &through(101))
        .await;
    assert_eq!(loops.code, 554);
    assert!(loops.text().starts_with("5.4.6 "), "{}", loops.text());
    let far_travelled = fleet
        .inject("jo@far.test", &["bob@example.test"], &through(100))
        .await;
    assert_eq!(far_travelled.code, 250, "{}", far_travelled.text());

    fleet.first_mail_of("bob").await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.mail_now("bob").len(), 1);
    fleet.end().await;
}
