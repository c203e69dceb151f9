//! The connections between services and Postgres are cut, delayed, and lose the answers that are on their way.

use std::time::Duration;

use testkit::{Proxy, Script, Sink, Traffic};
use tokio::time::sleep;

use super::harness::Plan;

/// Connections of a relay to the far end.
const CONNECTIONS: usize = 10;
/// Longer than any statement takes; shorter than a lease lives.
const DELAY: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_postgres_that_are_cut_lose_nothing() {
    let far_end = Sink::start(Script::new()).await;
    let database = testkit::database().await;
    let way = Proxy::to(database.server()).await;
    let url = database.url_through(&way);
    let mut fleet = Plan::of(1, 2, 1)
        .far_end(&far_end)
        .relay(&format!(
            "outbound.connections_per_destination = {CONNECTIONS}"
        ))
        .everywhere(&format!("database.url = \"{url}\""))
        .start(&database)
        .await;
    let load = fleet.load(4, 4);
    load.goes_on(100).await;
    // In the midst of whatever is being said.
    for _ in 0..5 {
        way.cut();
        load.goes_on(20).await;
    }
    // Postgres does as it is told, commits included, and nobody learns of it.
    for _ in 0..2 {
        way.set(Traffic::Deaf);
        sleep(DELAY).await;
        way.cut();
        way.set(Traffic::Passes);
        load.goes_on(20).await;
    }
    // All is as before, a little later.
    way.set(Traffic::Held);
    sleep(DELAY).await;
    way.set(Traffic::Passes);
    load.goes_on(50).await;
    let sent = load.stop().await;

    fleet.assert_all_run();
    let tally = fleet.tally(&sent, &far_end).await;
    eprintln!(
        "postgres cut off: {tally}; clients came back {} times, none waited longer than {:.1?}",
        sent.troubles(),
        sent.longest_outage()
    );
    tally.assert_none_lost(2 * CONNECTIONS);
    let for_good = sent.refused_for_good();
    assert!(for_good.is_empty(), "refused for good: {for_good:?}");
    fleet.end().await;
}
