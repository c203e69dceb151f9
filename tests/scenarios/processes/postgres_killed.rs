//! Postgres is killed (`kill -9`) with mail in flight, and comes back.

use std::time::Instant;

use testkit::{Script, Sink};

use super::harness::{Plan, Way};

/// Connections of a relay to the far end.
const CONNECTIONS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_put_off_while_postgres_is_away_and_all_is_well_when_it_is_back() {
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
    load.goes_on(100).await;

    let killed = Instant::now();
    postgres.kill().await;
    load.is_refused(Way::Submission, "451 4.3.0").await;
    load.is_refused(Way::Port25, "451 4.3.0").await;
    let told = killed.elapsed();
    postgres.start().await;
    load.goes_on(100).await;
    let sent = load.stop().await;

    fleet.assert_all_run();
    let tally = fleet.tally(&sent, &far_end).await;
    eprintln!(
        "postgres killed: clients were told after {told:.1?}, none waited longer than {:.1?}; {tally}",
        sent.longest_outage()
    );
    tally.assert_none_lost(2 * CONNECTIONS);
    fleet.end().await;
}
