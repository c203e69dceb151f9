//! The connections between services are cut, delayed, and lose the answers that are on their way.

use std::time::Duration;

use testkit::{Script, Sink, Traffic};
use tokio::time::sleep;

use super::harness::Plan;

/// Longer than any call takes; shorter than its deadline.
const DELAY: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn connections_between_services_that_are_cut_neither_lose_nor_double_mail() {
    let far_end = Sink::start(Script::new()).await;
    let database = testkit::database().await;
    let mut fleet = Plan::of(1, 2, 2)
        .far_end(&far_end)
        .grpc_by_proxies()
        .start(&database)
        .await;
    let load = fleet.load(4, 4);
    load.goes_on(100).await;
    for _ in 0..3 {
        for way in &fleet.proxies {
            way.cut();
            load.goes_on(10).await;
        }
    }
    for relay in &mut fleet.relays {
        relay.says("producer left").await;
    }
    // Mail is handed off and deposited, and whoever called does not learn of it.
    for way in &fleet.proxies {
        way.set(Traffic::Deaf);
        sleep(DELAY).await;
        way.cut();
        way.set(Traffic::Passes);
        load.goes_on(10).await;
    }
    for way in &fleet.proxies {
        way.set(Traffic::Held);
    }
    sleep(DELAY).await;
    for way in &fleet.proxies {
        way.set(Traffic::Passes);
    }
    load.goes_on(50).await;
    let sent = load.stop().await;

    fleet.assert_all_run();
    let tally = fleet.tally(&sent, &far_end).await;
    eprintln!(
        "services cut off: {tally}; clients came back {} times, none waited longer than {:.1?}",
        sent.troubles(),
        sent.longest_outage()
    );
    tally.assert_exactly_once();
    let for_good = sent.refused_for_good();
    assert!(for_good.is_empty(), "refused for good: {for_good:?}");
    fleet.end().await;
}
