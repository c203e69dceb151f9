//! Delivery is killed (`kill -9`) while mail flows.

use testkit::{Script, Sink, wait_until};

use super::harness::Plan;

#[tokio::test(flavor = "multi_thread")]
async fn local_mail_waits_for_a_killed_delivery_and_arrives_once() {
    let far_end = Sink::start(Script::new()).await;
    let database = testkit::database().await;
    let mut fleet = Plan::new().far_end(&far_end).start(&database).await;
    let load = fleet.load(4, 2);
    load.goes_on(100).await;

    fleet.deliveries[0].kill().await;
    let deferred =
        "SELECT count(*) FROM queue.unit WHERE state = 'deferred' AND domain = 'home.test'";
    wait_until("local mail to be deferred", async || {
        fleet.books.number(deferred).await > 0
    })
    .await;
    fleet.deliveries[0].start().await;
    load.goes_on(100).await;
    let sent = load.stop().await;

    let tally = fleet.tally(&sent, &far_end).await;
    eprintln!(
        "delivery killed: {tally}; nobody waited longer than {:.1?}",
        sent.longest_outage()
    );
    tally.assert_exactly_once();
    fleet.end().await;
}
