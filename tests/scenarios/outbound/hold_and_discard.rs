//! Routes that send nothing.

use testkit::{Script, Sink};

use crate::fleet::{Fleet, letter};

#[tokio::test(flavor = "multi_thread")]
async fn held_mail_stays_until_it_is_released() {
    let sink = Sink::start(Script::new()).await;
    let mut fleet = Fleet::builder()
        .account("alice")
        .route("held.test", "action = \"hold\"")
        .start()
        .await;
    fleet.submit(&["jo@held.test"], &letter("wait")).await;
    fleet
        .sql_gives("SELECT count(*) FROM queue.units WHERE state = 'held'", 1)
        .await;
    let address = sink.address();
    fleet.reload_relay(&format!(
        "route = [{{ domain = \"held.test\", smart_host = \"{address}\" }}]"
    ));
    fleet
        .execute("SELECT queue.release(domain => 'held.test')")
        .await;

    sink.wait_for(1).await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("delivered").await, 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discarded_mail_is_counted_and_gone() {
    let fleet = Fleet::builder()
        .account("alice")
        .account("bob")
        .route("void.test", "action = \"discard\"")
        .start()
        .await;
    fleet
        .submit(&["jo@void.test", "bob"], &letter("for bob and nobody"))
        .await;

    fleet.first_mail_of("bob").await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("discarded").await, 1);
    assert_eq!(fleet.recipients("delivered").await, 1);
    assert!(fleet.mail_now("alice").is_empty(), "no report");
    fleet.end().await;
}
