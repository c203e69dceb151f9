//! What the database may do to us, and what becomes of mail then.

use queue::{ConnectError, DatabaseConfig, EnqueueError, Queue};
use smtp::{EnhancedStatus, ReplyCode};

use crate::support::{Fixture, execute, is_fenced, wait_for_blocked};

#[tokio::test]
async fn a_server_that_would_lose_mail_is_refused() {
    let fixture = Fixture::new().await;
    // The test server can't be talked into it, so it is made to say that it was.
    fixture
        .execute(
            "CREATE FUNCTION public.current_setting(name text) RETURNS text LANGUAGE sql AS $$
                 SELECT CASE name WHEN 'fsync' THEN 'off' ELSE pg_catalog.current_setting(name) END
             $$;
             DO $$ BEGIN
                 EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog',
                                current_database());
             END $$",
        )
        .await;
    let refused = Queue::connect(&DatabaseConfig::new(fixture.database.url())).await;
    assert!(matches!(refused, Err(ConnectError::Unsafe)), "{refused:?}");
}

#[tokio::test]
async fn a_full_disk_is_452() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100';
             END $$;
             CREATE TRIGGER full_disk BEFORE INSERT ON queue.message EXECUTE FUNCTION full_disk()",
        )
        .await;
    let error = fixture
        .enqueuer
        .enqueue(fixture.message(&["a@example.com"]))
        .await
        .unwrap_err();
    assert!(matches!(error, EnqueueError::DiskFull(_)), "{error}");
    let reply = error.reply();
    assert_eq!(reply.code, ReplyCode::INSUFFICIENT_STORAGE);
    assert_eq!(reply.status, Some(EnhancedStatus::new(4, 3, 1)));
    fixture
        .execute("DROP TRIGGER full_disk ON queue.message")
        .await;
    fixture.queue_unleased(&["a@example.com"]).await;
}

#[tokio::test]
async fn a_database_that_is_away_is_451_and_heals_by_itself() {
    let (fixture, postgres) = Fixture::on_own_server().await;
    fixture.queue_unleased(&["before@example.com"]).await;
    postgres.stop().await;
    for _ in 0..2 {
        let error = fixture
            .enqueuer
            .enqueue(fixture.message(&["a@example.com"]))
            .await
            .unwrap_err();
        assert_eq!(error.reply().code, ReplyCode::LOCAL_ERROR, "{error}");
    }
    postgres.start().await;
    testkit::wait_until("mail to be accepted again", async || {
        fixture
            .enqueuer
            .enqueue(fixture.message(&["after@example.com"]))
            .await
            .is_ok()
    })
    .await;
    fixture.assert_balance(2).await;
}

#[tokio::test]
async fn a_connection_lost_in_a_commit_is_451_and_counted() {
    let (fixture, postgres) = Fixture::on_own_server().await;
    let mut locker = fixture.database.connect().await;
    execute(&mut locker, "BEGIN; LOCK TABLE queue.message").await;
    let (enqueuer, message) = (
        fixture.enqueuer.clone(),
        fixture.message(&["a@example.com"]),
    );
    let caller = tokio::spawn(async move { enqueuer.enqueue(message).await });
    wait_for_blocked(&mut locker, 1).await;
    postgres.kill().await;
    let error = caller.await.unwrap().unwrap_err();
    assert!(matches!(error, EnqueueError::Unknown(_)), "{error}");
    assert_eq!(error.reply().code, ReplyCode::LOCAL_ERROR);
    assert_eq!(fixture.enqueuer.statistics().unknown, 1);
}

#[tokio::test]
async fn a_terminated_session_is_451_and_nothing_was_queued() {
    let fixture = Fixture::new().await;
    let mut locker = fixture.database.connect().await;
    execute(&mut locker, "BEGIN; LOCK TABLE queue.message").await;
    let (enqueuer, message) = (
        fixture.enqueuer.clone(),
        fixture.message(&["a@example.com"]),
    );
    let caller = tokio::spawn(async move { enqueuer.enqueue(message).await });
    wait_for_blocked(&mut locker, 1).await;
    execute(
        &mut locker,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE wait_event_type = 'Lock' AND datname = current_database(); COMMIT",
    )
    .await;
    let error = caller.await.unwrap().unwrap_err();
    assert!(matches!(error, EnqueueError::Unavailable(_)), "{error}");
    assert_eq!(fixture.enqueuer.statistics().unknown, 0);
    fixture.assert_balance(0).await;
}

#[tokio::test]
async fn what_was_delivered_during_an_outage_is_recorded_after_it() {
    let (fixture, postgres) = Fixture::on_own_server().await;
    let relay = fixture.relay().await;
    let unit = fixture
        .queue_leased(relay.id, &["a@example.com"])
        .await
        .remove(0);
    postgres.kill().await;
    let delivering = fixture.deliver(unit);
    let (completed, ()) = tokio::join!(delivering, postgres.start());
    assert!(!is_fenced(&completed));
    fixture.assert_empty().await;
}

#[tokio::test]
async fn transactions_that_collide_are_tried_again() {
    let fixture = Fixture::new().await;
    // Fails the first two statements as a deadlock would.
    fixture
        .execute(
            "CREATE SEQUENCE tries;
             CREATE FUNCTION collide() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF nextval('tries') <= 2 THEN
                     RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01';
                 END IF;
                 RETURN NULL;
             END $$;
             CREATE TRIGGER collide AFTER INSERT ON queue.unit EXECUTE FUNCTION collide()",
        )
        .await;
    fixture.queue_unleased(&["a@example.com"]).await;
    assert_eq!(
        fixture.value::<i64>("SELECT last_value FROM tries").await,
        3
    );
}
