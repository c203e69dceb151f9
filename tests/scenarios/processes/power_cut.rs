//! Everything is killed at once, Postgres included, with mail in flight; and comes back.

use std::time::Instant;

use testkit::{Script, Sink};

use super::harness::Plan;

/// Connections of a relay to the far end.
const CONNECTIONS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_a_power_cut_arrives_after_it() {
    let far_end = Sink::start(Script::new()).await;
    let postgres = testkit::postgres().await;
    let database = postgres.database().await;
    let mut fleet = Plan::of(1, 2, 1)
        .far_end(&far_end)
        .relay(&format!(
            "outbound.connections_per_destination = {CONNECTIONS}"
        ))
        .start(&database)
        .await;
    let load = fleet.load(4, 4);
    load.goes_on(200).await;

    postgres.kill().await;
    for service in fleet.services() {
        service.kill().await;
    }
    let sent = load.stop().await;
    let back = Instant::now();
    postgres.start().await;
    for service in fleet.services() {
        service.start().await;
    }
    let tally = fleet.tally(&sent, &far_end).await;
    eprintln!(
        "power cut: all delivered {:.1?} after the start; {tally}",
        back.elapsed()
    );
    tally.assert_none_lost(2 * CONNECTIONS);
    fleet.end().await;
}
