//! Promises 4, 8 and 9: who gets what, in which order.

use std::time::Duration;

use queue::{ClaimLimits, NewMessage, QueueId, Shard, Tenant};

use crate::support::{Fixture, message};

const SHARD: Shard = match Shard::new(0) {
    Some(shard) => shard,
    None => panic!("there is a first shard"),
};

/// Queues a message in [`SHARD`].
async fn queue_for(fixture: &Fixture, tenant: i64, recipient: &str) -> QueueId {
    let id = QueueId::generate(SHARD);
    let message = NewMessage {
        tenant: Tenant(tenant),
        ..message(id, &[recipient])
    };
    fixture.enqueuer.enqueue(message).await.unwrap();
    id
}

fn limits(per_destination: u32, units: u32) -> ClaimLimits {
    ClaimLimits {
        per_destination,
        units,
    }
}

#[tokio::test]
async fn each_unit_is_claimed_once() {
    let fixture = Fixture::new().await;
    let (one, other) = (fixture.relay().await, fixture.relay().await);
    for _ in 0..30 {
        fixture
            .queue_unleased(&["a@example.com", "b@example.net"])
            .await;
    }
    let claims = (0..20).map(|number| {
        let relay = if number % 2 == 0 { &one } else { &other };
        relay.claim_up_to(3)
    });
    let mut claimed = Vec::new();
    for units in futures_join(claims).await {
        claimed.extend(units.into_iter().map(|unit| unit.lease.unit));
    }
    let count = claimed.len();
    claimed.sort_unstable();
    claimed.dedup();
    assert_eq!(claimed.len(), count, "something was claimed twice");
    assert_eq!(count, 60);
}

/// Runs all of them at once.
async fn futures_join<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in running.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_tenant_with_much_mail_is_overtaken_by_anothers_first() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    for _ in 0..50 {
        queue_for(&fixture, 1, "a@slow.example").await;
    }
    queue_for(&fixture, 2, "a@slow.example").await;
    queue_for(&fixture, 1, "a@fast.example").await;
    let units = relay.claimer.claim(SHARD, limits(5, 100)).await.unwrap();
    let mut taken: Vec<(i64, &str)> = units
        .iter()
        .map(|unit| (unit.tenant.0, unit.domain.as_str()))
        .collect();
    assert_eq!(taken.len(), 7);
    taken.dedup();
    assert_eq!(
        taken,
        [
            (1, "fast.example"),
            (1, "slow.example"),
            (2, "slow.example")
        ]
    );
}

#[tokio::test]
async fn the_next_claim_goes_on_where_the_last_one_ended() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    for domain in ["a", "b", "c"] {
        for _ in 0..4 {
            queue_for(&fixture, 1, &format!("x@{domain}.example")).await;
        }
    }
    let mut order = String::new();
    for _ in 0..8 {
        let units = relay.claimer.claim(SHARD, limits(2, 2)).await.unwrap();
        order.extend(units.iter().map(|unit| &unit.domain[..1]));
        order.push(' ');
    }
    // A claim that finds nothing behind the cursor has come round, and starts over.
    assert_eq!(order.replace("  ", " ").trim(), "aa bb cc aa bb cc");
}

#[tokio::test]
async fn within_a_destination_the_first_to_be_ready_goes_first() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let mut queued = Vec::new();
    for _ in 0..5 {
        queued.push(queue_for(&fixture, 1, "a@example.com").await);
    }
    for id in &queued {
        let units = relay.claimer.claim(SHARD, limits(1, 1)).await.unwrap();
        assert_eq!(units[0].lease.unit.queue_id, *id);
    }
}

#[tokio::test]
async fn what_becomes_ready_below_a_mark_is_found_all_the_same() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    queue_for(&fixture, 1, "a@example.com").await;
    let unit = relay.claim_one().await;
    // Given back, deferred and promoted, released: each time it is ready anew.
    relay.claimer.give_back([unit.lease]).await.unwrap();
    let unit = relay.claim_one().await;
    fixture.defer(unit, Duration::ZERO).await;
    testkit::wait_until("the unit to be due", async || relay.promote().await == 1).await;
    let unit = relay.claim_one().await;
    fixture.deliver(unit).await;
    fixture.assert_empty().await;
}

#[tokio::test]
async fn deferred_mail_is_ready_when_it_is_due_and_not_before() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let unit = fixture
        .queue_leased(relay.id, &["a@example.com"])
        .await
        .remove(0);
    fixture.defer(unit, Duration::from_secs(3600)).await;
    assert_eq!(relay.promote().await, 0);
    assert!(relay.claim().await.is_empty());
    fixture
        .execute("UPDATE queue.unit SET due_at = now() - interval '1 s'")
        .await;
    assert_eq!(relay.promote().await, 1);
    assert_eq!(relay.claim().await.len(), 1);
}

#[tokio::test]
async fn a_hand_off_that_was_lost_is_adopted_by_its_holder() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let units = fixture
        .queue_leased(relay.id, &["a@known.example", "b@lost.example"])
        .await;
    let (known, lost) = (units[0].clone(), units[1].clone());
    let adopt = async |older_than| {
        let knows = |unit: &queue::UnitId| *unit == known.lease.unit;
        relay.claimer.adopt(older_than, knows).await.unwrap()
    };
    assert!(
        adopt(Duration::from_secs(5)).await.is_empty(),
        "it may be on its way"
    );
    let adopted = adopt(Duration::ZERO).await;
    assert_eq!(adopted.len(), 1);
    assert_eq!(adopted[0].lease.unit, lost.lease.unit);
    assert_eq!(adopted[0].lease.attempt, 2);
    assert_eq!(adopted[0].lease.holder, relay.id);
    // Should it come after all, it comes too late.
    assert!(crate::support::is_fenced(&fixture.deliver(lost).await));
    assert!(!crate::support::is_fenced(
        &fixture.deliver(known.clone()).await
    ));
    assert!(!crate::support::is_fenced(
        &fixture.deliver(adopted[0].clone()).await
    ));
    fixture.assert_empty().await;
}

#[tokio::test]
async fn a_unit_that_cannot_be_read_does_not_stop_the_others() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    queue_for(&fixture, 1, "a@example.com").await;
    let good = queue_for(&fixture, 1, "b@example.com").await;
    fixture
        .execute(&format!(
            "UPDATE queue.unit SET recipients = ARRAY['nonsense'::bytea] WHERE message <> '{good}'"
        ))
        .await;
    let unit = relay.claim_one().await;
    assert_eq!(unit.lease.unit.queue_id, good);
}
