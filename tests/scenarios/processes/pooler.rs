//! Through PgBouncer in transaction mode, where nothing outlives a transaction: neither what was prepared nor settings.

use testkit::{Script, Sink};

use super::harness::{Plan, Pooler};

/// Far fewer than the fleet would open itself.
const CONNECTIONS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_behind_a_transaction_pooler_loses_nothing() {
    let far_end = Sink::start(Script::new()).await;
    let database = testkit::database().await;
    let Some(pooler) = Pooler::before(&database, CONNECTIONS).await else {
        return;
    };
    // The services don't, since this needs a session.
    queue::migrate(database.url()).await.unwrap();
    directory::migrate(database.url()).await.unwrap();
    let mut fleet = Plan::of(2, 2, 2)
        .far_end(&far_end)
        .everywhere(&format!(
            "database.url = \"{}\"\ndatabase.transaction_pooler = true",
            pooler.url(&database)
        ))
        .start(&database)
        .await;
    let load = fleet.load(6, 4);
    load.goes_on(200).await;
    let sessions = fleet.books.number(SESSIONS).await;
    // What it holds is found by the other one, through the same few connections.
    fleet.relays[0].kill().await;
    fleet.relays[0].start().await;
    load.goes_on(200).await;
    let sent = load.stop().await;

    let tally = fleet.tally(&sent, &far_end).await;
    eprintln!("{sessions} sessions for the fleet: {tally}");
    tally.assert_none_lost(64);
    assert!(sessions <= CONNECTIONS as i64, "{sessions} sessions");
    fleet.end().await;
}

/// What the services have of the server, the test's own connection left out.
const SESSIONS: &str = "
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test(flavor = "multi_thread")]
async fn a_service_behind_a_transaction_pooler_says_that_the_schema_is_missing() {
    let database = testkit::database().await;
    let Some(pooler) = Pooler::before(&database, CONNECTIONS).await else {
        return;
    };
    let config = queue::DatabaseConfig {
        transaction_pooler: true,
        ..queue::DatabaseConfig::new(pooler.url(&database))
    };
    let error = queue::Queue::connect(&config).await.unwrap_err();
    assert!(
        error.to_string().contains("run `chasqui migrate`"),
        "{error}"
    );
}
