//! A relay dies with mail in its hands: another one takes it over.

use testkit::{Action, Script, Sink, Stage, wait_until};

use crate::fleet::{Fleet, letter};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_relay_held_is_taken_over_by_another() {
    let sink = Sink::start(Script::new().first(1, Stage::Dot, Action::Stall)).await;
    let mut fleet = Fleet::builder()
        .relays_and_deliveries(2, 1)
        .account("bob")
        .relay("inbound.relay_networks = [\"127.0.0.0/8\"]")
        .smart_host("*", sink.address())
        .start()
        .await;
    // Port 25 hands off within its own process.
    let answer = fleet
        .inject("bob@example.test", &["jo@far.test"], &letter("orphan"))
        .await;
    assert_eq!(answer.code, 250);
    wait_until("the final dot", async || !sink.messages().is_empty()).await;
    fleet.kill_relay(0);

    let arrived = sink.wait_for(1).await;
    assert_eq!(arrived[0].hello, "mx2.fleet.test");
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("delivered").await, 1);
    assert!(fleet.mail_now("bob").is_empty(), "no report");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_ends_in_good_order_gives_its_mail_to_another_at_once() {
    let later = Script::new().on(Stage::Rcpt, Action::reply("450 4.2.0 Later"));
    let sink = Sink::start(later).await;
    let mut fleet = Fleet::builder()
        .relays_and_deliveries(2, 1)
        .account("bob")
        .relay("inbound.relay_networks = [\"127.0.0.0/8\"]")
        .smart_host("*", sink.address())
        .start()
        .await;
    fleet
        .inject("bob@example.test", &["jo@far.test"], &letter("handed over"))
        .await;
    fleet
        .sql_gives("SELECT count(*) FROM queue.units WHERE tries > 0", 1)
        .await;
    fleet.stop_relay(0).await;
    sink.set(Script::new());

    assert_eq!(sink.wait_for(1).await[0].hello, "mx2.fleet.test");
    fleet.queue_is_empty().await;
    fleet.end().await;
}
