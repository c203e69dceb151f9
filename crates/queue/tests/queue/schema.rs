//! Migrations, and which schemas a program works with.

use queue::{ConnectError, DatabaseConfig, Queue, QueueId, Shard};
use testkit::TestDatabase;

use crate::support::{execute, value, wait_for_blocked};

async fn connect(database: &TestDatabase) -> Result<Queue, ConnectError> {
    Queue::connect(&DatabaseConfig::new(database.url())).await
}

#[tokio::test]
async fn services_that_start_together_migrate_once() {
    let database = testkit::database().await;
    let starts = (0..5).map(|_| {
        let url = database.url().to_owned();
        tokio::spawn(async move { queue::migrate(&url).await })
    });
    for start in starts.collect::<Vec<_>>() {
        start.await.unwrap().unwrap();
    }
    connect(&database).await.unwrap();
}

/// It waits as long as it takes, and meanwhile nobody waits behind it for long.
#[tokio::test]
async fn a_migration_gives_way_to_whoever_holds_a_table() {
    let database = testkit::database().await;
    queue::migrate(database.url()).await.unwrap();
    let mut holder = database.connect().await;
    execute(&mut holder, "BEGIN; LOCK TABLE queue._migrations").await;
    let url = database.url().to_owned();
    let migrating = tokio::spawn(async move { queue::migrate(&url).await });
    let mut looker = database.connect().await;
    for _ in 0..2 {
        wait_for_blocked(&mut looker, 1).await;
        wait_for_blocked(&mut looker, 0).await;
    }
    assert!(!migrating.is_finished());
    execute(&mut holder, "COMMIT").await;
    migrating.await.unwrap().unwrap();
}

#[tokio::test]
async fn without_migrations_there_is_no_queue() {
    let database = testkit::database().await;
    let refused = connect(&database).await;
    assert!(
        matches!(refused, Err(ConnectError::SchemaMissing)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_newer_additive_migration_is_welcome() {
    let database = testkit::database().await;
    queue::migrate(database.url()).await.unwrap();
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        "ALTER TABLE queue.message ADD COLUMN novelty text;
         UPDATE queue.compatibility SET version = 999;
         INSERT INTO queue._migrations
             (version, description, success, checksum, execution_time)
         VALUES (999, 'from the future', true, '', 0)",
    )
    .await;
    queue::migrate(database.url()).await.unwrap();
    connect(&database).await.unwrap();
}

#[tokio::test]
async fn a_schema_that_has_moved_on_refuses_old_programs_and_the_other_way_round() {
    let database = testkit::database().await;
    queue::migrate(database.url()).await.unwrap();
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        "UPDATE queue.compatibility SET serves_from = 999",
    )
    .await;
    let refused = connect(&database).await;
    assert!(
        matches!(
            refused,
            Err(ConnectError::ProgramTooOld { oldest: 999, .. })
        ),
        "{refused:?}"
    );
    execute(
        &mut connection,
        "UPDATE queue.compatibility SET version = 0, serves_from = 0",
    )
    .await;
    let refused = connect(&database).await;
    assert!(
        matches!(refused, Err(ConnectError::SchemaTooOld { found: 0, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn errors_name_no_passwords() {
    let config = DatabaseConfig::new("postgres://user:hunter2@127.0.0.1:1/nowhere");
    let error = Queue::connect(&config).await.unwrap_err();
    let told = format!("{config:?} {error} {error:?}");
    assert!(!told.contains("hunter2"), "{told}");
}

/// As programs before migration 0007 do, beside newer ones in the same fleet.
#[tokio::test]
async fn programs_that_know_no_message_id_still_write_the_journal() {
    let database = testkit::database().await;
    queue::migrate(database.url()).await.unwrap();
    let mut connection = database.connect().await;
    let serves_from: i32 = value(
        &mut connection,
        "SELECT serves_from FROM queue.compatibility",
    )
    .await;
    assert_eq!(serves_from, 2);
    let id = QueueId::generate(Shard::new(3).unwrap());
    let insert = format!(
        "INSERT INTO queue.attempt (shard, node, fenced, message, unit, attempt, incarnation,
             domain, reverse_path, delay_ms, traceparent, recipients, outcome, status, reply,
             duration_ms)
         VALUES (3, 'mx1', false, '{id}', 0, 1, 1, 'example.net', 'a@example.org', 5,
             '00-0123456789abcdef0123456789abcdef-0123456789abcdef-00',
             ARRAY['b@example.net'::bytea], 'delivered', '2.0.0', '250 ok', 5)"
    );
    execute(&mut connection, &insert).await;
    let queue = connect(&database).await.unwrap();
    let shown = queue.show(id).await.unwrap().unwrap();
    assert_eq!((shown.message_id, shown.attempts.len()), (None, 1));
}
