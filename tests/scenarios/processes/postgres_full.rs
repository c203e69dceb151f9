//! Postgres has no space left, for its tables or for its log; later it has.

use std::time::Instant;

use sqlx::{Connection as _, Executor as _, PgConnection};
use testkit::{Script, Sink, TestPostgres};

use super::harness::{Plan, Volume, Way};

const MEBIBYTES: usize = 96;
/// Connections of a relay to the far end.
const CONNECTIONS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn without_space_for_tables_clients_are_told_452_until_there_is_some() {
    let Some(volume) = Volume::mount(MEBIBYTES) else {
        return;
    };
    let far_end = Sink::start(Script::new()).await;
    let postgres = testkit::postgres().await;
    let database = volume.database(&postgres).await;
    let mut fleet = Plan::of(1, 2, 1).far_end(&far_end).start(&database).await;
    let load = fleet.load(4, 4);
    load.goes_on(100).await;

    volume.fill();
    let full = Instant::now();
    load.is_refused(Way::Submission, "452 4.3.1").await;
    load.is_refused(Way::Port25, "452 4.3.1").await;
    let told = full.elapsed();
    volume.free();
    load.goes_on(100).await;
    let sent = load.stop().await;

    fleet.assert_all_run();
    let tally = fleet.tally(&sent, &far_end).await;
    eprintln!(
        "no space for tables: clients were told after {told:.1?}, none waited longer than {:.1?}; {tally}",
        sent.longest_outage()
    );
    tally.assert_exactly_once();
    let others = sent.refused_other_than("452");
    assert!(others.is_empty(), "refused otherwise: {others:?}");
    assert!(sent.cuts().is_empty(), "cut off: {:?}", sent.cuts());
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_postgres_crashes_on_a_full_log_clients_are_told_451_until_it_is_back() {
    let Some(volume) = Volume::mount(MEBIBYTES) else {
        return;
    };
    let far_end = Sink::start(Script::new()).await;
    let postgres = testkit::postgres().await;
    volume.take_the_log_of(&postgres).await;
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

    volume.fill();
    crash_on_a_full_log(&postgres).await;
    load.is_refused(Way::Submission, "451 4.3.0").await;
    load.is_refused(Way::Port25, "451 4.3.0").await;
    volume.free();
    // It could not even recover without space, and ended; whoever watches over it starts it again.
    postgres.start().await;
    load.goes_on(100).await;
    let sent = load.stop().await;

    fleet.assert_all_run();
    let tally = fleet.tally(&sent, &far_end).await;
    eprintln!(
        "no space for the log: no client waited longer than {:.1?}; {tally}",
        sent.longest_outage()
    );
    tally.assert_none_lost(2 * CONNECTIONS);
    fleet.end().await;
}

/// Goes from one segment of the log to the next, until there is none.
async fn crash_on_a_full_log(postgres: &TestPostgres) {
    let mut connection = PgConnection::connect(&postgres.url()).await.unwrap();
    for _ in 0..100 {
        for statement in [
            "SELECT pg_switch_wal()",
            "SELECT pg_logical_emit_message(true, 'test', 'x')",
        ] {
            if connection.execute(statement).await.is_err() {
                return;
            }
        }
    }
    panic!("the log still has space");
}
