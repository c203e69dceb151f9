//! Promise 10: the journal takes every row, the ledger balances, and both are kept small.

use std::time::Duration;

use queue::{DestinationFailure, DestinationKey, JournalOutcome, Retention, Settlement};

use crate::support::{Fixture, RELEASE, TENANT, line, settle_all, value};

async fn journal_one(fixture: &Fixture) {
    let relay = fixture.relay().await;
    let unit = fixture
        .queue_leased(relay.id, &["a@example.com"])
        .await
        .remove(0);
    let delivered = settle_all(&unit, Settlement::Delivered);
    let end = queue::Completion::new(unit, delivered, RELEASE)
        .journalled([line(JournalOutcome::Delivered, "250 ok")]);
    fixture.complete(end).await;
}

#[tokio::test]
async fn the_journal_takes_rows_of_days_without_a_partition() {
    let fixture = Fixture::new().await;
    // As if upkeep had never come to today.
    fixture
        .execute("SELECT queue.drop_partitions(current_date + 100)")
        .await;
    journal_one(&fixture).await;
    let mut connection = fixture.database.connect().await;
    let in_default = "SELECT count(*) FROM queue.attempt_default";
    assert_eq!(value::<i64>(&mut connection, in_default).await, 1);
    fixture.queue.upkeep(Retention::default()).await.unwrap();
    assert_eq!(value::<i64>(&mut connection, in_default).await, 0);
    assert_eq!(
        value::<i64>(&mut connection, "SELECT count(*) FROM queue.attempt").await,
        1
    );
    journal_one(&fixture).await;
    assert_eq!(value::<i64>(&mut connection, in_default).await, 0);
}

#[tokio::test]
async fn partitions_are_a_week_ahead_and_go_after_their_time() {
    let fixture = Fixture::new().await;
    fixture
        .execute("SELECT queue.ensure_partition(current_date - 31), queue.ensure_partition(current_date - 29)")
        .await;
    journal_one(&fixture).await;
    fixture.queue.upkeep(Retention::default()).await.unwrap();
    let days: String = fixture
        .value(
            "SELECT string_agg((right(relname, 8)::date - (now() AT TIME ZONE 'UTC')::date)::text,
                               ' ' ORDER BY relname)
             FROM pg_class JOIN pg_inherits ON oid = inhrelid
             WHERE inhparent = 'queue.attempt'::regclass AND relname <> 'attempt_default'",
        )
        .await;
    assert_eq!(days, "-29 0 1 2 3 4 5 6 7");
    assert_eq!(
        fixture
            .value::<i64>("SELECT count(*) FROM queue.attempt")
            .await,
        1
    );
}

#[tokio::test]
async fn folding_the_ledger_changes_no_sum() {
    let fixture = Fixture::new().await;
    for _ in 0..3 {
        journal_one(&fixture).await;
    }
    fixture
        .queue_unleased(&["a@example.com", "b@example.com"])
        .await;
    let before = fixture.queue.balances().await.unwrap();
    assert_eq!(
        (before[0].accepted, before[0].delivered, before[0].queued),
        (5, 3, 2)
    );
    fixture.queue.upkeep(Retention::default()).await.unwrap();
    assert_eq!(
        fixture
            .value::<i64>("SELECT count(*) FROM queue.ledger_delta")
            .await,
        0
    );
    assert_eq!(fixture.queue.balances().await.unwrap(), before);
    journal_one(&fixture).await;
    fixture.queue.upkeep(Retention::default()).await.unwrap();
    fixture.assert_balance(2).await;
}

#[tokio::test]
async fn what_is_no_longer_needed_is_removed() {
    let fixture = Fixture::new().await;
    let (gone, alive) = (fixture.relay().await, fixture.relay().await);
    fixture.queue_leased(gone.id, &["a@example.com"]).await;
    fixture.queue.end_incarnation(gone.id).await.unwrap();
    fixture
        .execute("UPDATE queue.incarnation SET ended_at = now() - interval '2 hours' WHERE ended_at IS NOT NULL")
        .await;
    let key = |domain: &str| DestinationKey {
        tenant: TENANT,
        domain: domain.to_owned(),
    };
    let failure = DestinationFailure {
        reply: "timeout",
        route: "mx",
        first_pause: Duration::from_secs(60),
        longest_pause: Duration::from_secs(60),
    };
    for domain in [
        "open.example",
        "forgotten.example",
        "waiting.example",
        "fresh.example",
    ] {
        fixture.queue.suspend(&key(domain), failure).await.unwrap();
    }
    fixture.queue.open(&key("open.example")).await.unwrap();
    fixture.queue_unleased(&["a@waiting.example"]).await;
    fixture
        .execute(
            "UPDATE queue.destination SET suspended_until = now() - interval '2 days'
             WHERE domain IN ('forgotten.example', 'waiting.example')",
        )
        .await;
    fixture.queue.upkeep(Retention::default()).await.unwrap();
    let destinations: String = fixture
        .value("SELECT string_agg(domain, ' ' ORDER BY domain) FROM queue.destination")
        .await;
    assert_eq!(destinations, "fresh.example waiting.example");
    let incarnations = "SELECT string_agg(id::text, ' ' ORDER BY id) FROM queue.incarnation";
    let both = format!("{} {}", gone.id, alive.id);
    assert_eq!(
        fixture.value::<String>(incarnations).await,
        both,
        "one still holds a lease"
    );
    fixture.queue.reclaim(10).await.unwrap();
    fixture.queue.upkeep(Retention::default()).await.unwrap();
    assert_eq!(
        fixture.value::<String>(incarnations).await,
        alive.id.to_string()
    );
}

#[tokio::test]
async fn a_lease_of_nobody_known_is_found() {
    let fixture = Fixture::new().await;
    let (gone, alive) = (fixture.relay().await, fixture.relay().await);
    fixture
        .execute(&format!(
            "DELETE FROM queue.incarnation WHERE id = {}",
            gone.id
        ))
        .await;
    fixture.queue_leased(gone.id, &["lost@example.com"]).await;
    fixture.queue_leased(alive.id, &["a@example.com"]).await;
    fixture.queue.upkeep(Retention::default()).await.unwrap();
    assert_eq!(
        alive.claim_one().await.recipients[0].mailbox.to_string(),
        "lost@example.com"
    );
}

#[tokio::test]
async fn one_process_at_a_time_does_the_upkeep() {
    let fixture = Fixture::new().await;
    journal_one(&fixture).await;
    let mut other = fixture.database.connect().await;
    crate::support::execute(
        &mut other,
        "BEGIN; SELECT pg_advisory_xact_lock(hashtext('chasqui queue'), 1)",
    )
    .await;
    fixture.queue.upkeep(Retention::default()).await.unwrap();
    let deltas = "SELECT count(*) > 0 FROM queue.ledger_delta";
    assert!(value::<bool>(&mut other, deltas).await);
    crate::support::execute(&mut other, "COMMIT").await;
    fixture.queue.upkeep(Retention::default()).await.unwrap();
    assert!(!value::<bool>(&mut other, deltas).await);
}
