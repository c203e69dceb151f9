//! An additive migration, as a newer release might bring it, runs under the mail of a fleet that knows nothing of it.

use std::time::Instant;

use sqlx::Executor as _;
use testkit::{Script, Sink};

use super::harness::Plan;

/// A table, a column that may be null wherever the hot path goes, and a higher version.
const MIGRATION: &str = "
    BEGIN;
    SET LOCAL lock_timeout = '500ms';
    CREATE TABLE queue.novelty (id bigint PRIMARY KEY, what text);
    ALTER TABLE queue.message ADD COLUMN novelty text;
    ALTER TABLE queue.content ADD COLUMN novelty text;
    ALTER TABLE queue.unit ADD COLUMN novelty text;
    ALTER TABLE queue.destination ADD COLUMN novelty text;
    ALTER TABLE queue.incarnation ADD COLUMN novelty text;
    ALTER TABLE queue.attempt ADD COLUMN novelty text;
    ALTER TABLE queue.ledger_delta ADD COLUMN novelty text;
    UPDATE queue.compatibility SET version = 999;
    INSERT INTO queue._migrations (version, description, success, checksum, execution_time)
    VALUES (999, 'from the future', true, '', 0);
    COMMIT";

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_of_the_next_release_is_not_noticed_by_anybody() {
    let far_end = Sink::start(Script::new()).await;
    let database = testkit::database().await;
    let mut fleet = Plan::of(2, 2, 2).far_end(&far_end).start(&database).await;
    let load = fleet.load(4, 4);
    load.goes_on(100).await;

    let began = Instant::now();
    let mut connection = database.connect().await;
    // As `queue::migrate` does: what does not get its locks soon gives way, and comes again.
    let mut gave_way = 0;
    while let Err(error) = connection.execute(MIGRATION).await {
        connection.execute("ROLLBACK").await.unwrap();
        let state = error.as_database_error().and_then(|error| error.code());
        assert_eq!(state.as_deref(), Some("55P03"), "{error}");
        gave_way += 1;
        assert!(gave_way < 50, "the migration never gets its locks");
        load.goes_on(10).await;
    }
    let took = began.elapsed();
    load.goes_on(100).await;
    // Processes of this release still start afterwards.
    for service in fleet.services() {
        let status = service.terminate().await;
        assert!(
            status.success(),
            "{} ended with {status}",
            service.host_name
        );
        service.start().await;
    }
    load.goes_on(100).await;
    let sent = load.stop().await;

    let tally = fleet.tally(&sent, &far_end).await;
    eprintln!(
        "migrated within {took:.1?}, after giving way {gave_way} times: {tally}; no client waited longer than {:.1?}",
        sent.longest_outage()
    );
    tally.assert_exactly_once();
    let refusals = sent.refused_other_than("421");
    assert!(refusals.is_empty(), "refused: {refusals:?}");
    assert!(sent.cuts().is_empty(), "cut off: {:?}", sent.cuts());
    fleet.end().await;
}
