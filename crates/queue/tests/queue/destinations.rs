//! Promise 7: a dead destination costs a probe now and then, however much mail waits for it.

use std::time::Duration;

use queue::{DestinationFailure, DestinationKey, NewMessage, Suspension};
use time::OffsetDateTime;

use crate::support::{Fixture, Relay, TENANT, is_fenced};

fn dead() -> DestinationKey {
    DestinationKey {
        tenant: TENANT,
        domain: "dead.example".to_owned(),
    }
}

async fn suspend(fixture: &Fixture, pause: Duration) -> Suspension {
    let failure = DestinationFailure {
        reply: "connection refused",
        route: "mx",
        first_pause: pause,
        longest_pause: pause * 16,
    };
    fixture.queue.suspend(&dead(), failure).await.unwrap()
}

/// The suspension's time is up.
async fn time_is_up(fixture: &Fixture) {
    fixture
        .execute("UPDATE queue.destination SET suspended_until = now() - interval '1 ms'")
        .await;
}

async fn queue_dead(fixture: &Fixture, messages: usize) {
    for _ in 0..messages {
        fixture.queue_unleased(&["a@dead.example"]).await;
    }
}

/// How many units are claimed for the dead destination, a thousand being allowed.
async fn claimed(relay: &Relay) -> usize {
    relay.claim_up_to(1000).await.len()
}

#[tokio::test]
async fn mail_for_a_suspended_destination_is_passed_over() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    queue_dead(&fixture, 3).await;
    fixture.queue_unleased(&["a@alive.example"]).await;
    suspend(&fixture, Duration::from_secs(60)).await;
    let unit = relay.claim_one().await;
    assert_eq!(unit.domain, "alive.example");
    let suspensions = fixture.queue.suspensions(10).await.unwrap();
    assert_eq!(suspensions.len(), 1);
    assert_eq!(suspensions[0].destination, dead());
    assert_eq!(suspensions[0].last_reply, "connection refused");
    assert_eq!(suspensions[0].route, "mx");
    fixture.queue.open(&dead()).await.unwrap();
    assert_eq!(claimed(&relay).await, 3);
}

#[tokio::test]
async fn one_probe_goes_out_when_the_time_is_up() {
    let fixture = Fixture::new().await;
    let relays = [fixture.relay().await, fixture.relay().await];
    queue_dead(&fixture, 40).await;
    suspend(&fixture, Duration::from_secs(60)).await;
    time_is_up(&fixture).await;
    let mut probes = Vec::new();
    for relay in relays.iter().cycle().take(6) {
        probes.extend(relay.claim_up_to(1000).await);
    }
    assert_eq!(probes.len(), 1);
    assert!(probes[0].probe);
    // It fails: the next one has to wait longer, and then there is one again.
    suspend(&fixture, Duration::from_secs(60)).await;
    relays[0]
        .claimer
        .give_back([probes[0].lease])
        .await
        .unwrap();
    assert_eq!(claimed(&relays[0]).await, 0);
    time_is_up(&fixture).await;
    assert_eq!(claimed(&relays[1]).await, 1);
}

#[tokio::test]
async fn a_probe_lapses_with_the_relay_that_makes_it() {
    let fixture = Fixture::new().await;
    let (prober, other) = (fixture.relay().await, fixture.relay().await);
    queue_dead(&fixture, 5).await;
    suspend(&fixture, Duration::from_secs(60)).await;
    time_is_up(&fixture).await;
    assert_eq!(claimed(&prober).await, 1);
    assert_eq!(claimed(&other).await, 0);
    fixture.queue.end_incarnation(prober.id).await.unwrap();
    assert_eq!(claimed(&other).await, 1);
}

#[tokio::test]
async fn a_probe_lapses_after_some_minutes() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    queue_dead(&fixture, 5).await;
    suspend(&fixture, Duration::from_secs(60)).await;
    time_is_up(&fixture).await;
    assert_eq!(claimed(&relay).await, 1);
    fixture
        .execute("UPDATE queue.destination SET probe_started_at = now() - interval '11 minutes'")
        .await;
    assert_eq!(claimed(&relay).await, 1);
}

#[tokio::test]
async fn one_outage_counts_once_and_each_further_one_doubles_the_pause() {
    let fixture = Fixture::new().await;
    let pause = Duration::from_secs(100);
    let ahead = |suspension: &Suspension| {
        (suspension.until.unwrap() - OffsetDateTime::now_utc()).as_seconds_f64()
    };
    let first = suspend(&fixture, pause).await;
    assert_eq!(first.failures, 1);
    assert!((75.0..125.0).contains(&ahead(&first)), "{first:?}");
    for _ in 0..20 {
        assert_eq!(suspend(&fixture, pause).await.until, first.until);
    }
    for (failures, factor) in [(2, 2.0), (3, 4.0), (4, 8.0), (5, 16.0), (6, 16.0)] {
        time_is_up(&fixture).await;
        let again = suspend(&fixture, pause).await;
        assert_eq!(again.failures, failures);
        let expected = 100.0 * factor;
        assert!(
            (expected * 0.75..expected * 1.25).contains(&ahead(&again)),
            "{again:?}"
        );
    }
}

#[tokio::test]
async fn a_destination_that_is_back_ramps_up() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    for _ in 0..40 {
        let id = queue::QueueId::generate(queue::Shard::new(1).unwrap());
        let message = crate::support::message(id, &["a@dead.example"]);
        fixture.enqueuer.enqueue(message).await.unwrap();
    }
    suspend(&fixture, Duration::from_secs(60)).await;
    time_is_up(&fixture).await;
    assert_eq!(claimed(&relay).await, 1);
    for allowed in [1, 2, 4, 8] {
        assert!(!fixture.queue.note_success(&dead()).await.unwrap());
        assert_eq!(claimed(&relay).await, allowed);
    }
    let mut successes = 4;
    while !fixture.queue.note_success(&dead()).await.unwrap() {
        successes += 1;
        assert!(successes < 20);
    }
    assert_eq!(claimed(&relay).await, 24);
    assert!(fixture.queue.suspensions(10).await.unwrap().is_empty());
    assert!(fixture.queue.note_success(&dead()).await.unwrap());
}

#[tokio::test]
async fn mail_that_expires_behind_a_suspension_quotes_the_last_reply() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let expired = NewMessage {
        expires_at: OffsetDateTime::now_utc() - Duration::from_secs(1),
        ..fixture.message(&["a@dead.example"])
    };
    let id = expired.id;
    let expire = async || relay.claimer.expire(id.shard(), 10).await.unwrap();
    fixture.enqueuer.enqueue(expired).await.unwrap();
    fixture.queue_unleased(&["b@dead.example"]).await;
    assert!(
        expire().await.is_empty(),
        "its destination is open: it gets its attempt"
    );
    suspend(&fixture, Duration::from_secs(60)).await;
    let expired = expire().await;
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].unit.lease.unit.queue_id, id);
    assert_eq!(expired[0].last_reply, "connection refused");
    let everybody = crate::support::settle_all(&expired[0].unit, queue::Settlement::Expired);
    let end = queue::Completion::new(expired[0].unit.clone(), everybody, crate::support::RELEASE);
    assert!(!is_fenced(&fixture.complete(end).await));
    assert!(expire().await.is_empty());
    fixture.assert_balance(1).await;
}

#[tokio::test]
async fn mail_that_expired_during_an_outage_of_ours_gets_its_attempt_first() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    suspend(&fixture, Duration::from_secs(60)).await;
    fixture
        .execute("UPDATE queue.destination SET last_failure_at = now() - interval '1 hour'")
        .await;
    let expired = NewMessage {
        expires_at: OffsetDateTime::now_utc() - Duration::from_secs(600),
        ..fixture.message(&["a@dead.example"])
    };
    let id = expired.id;
    fixture.enqueuer.enqueue(expired).await.unwrap();
    assert!(
        relay
            .claimer
            .expire(id.shard(), 10)
            .await
            .unwrap()
            .is_empty()
    );
    time_is_up(&fixture).await;
    assert!(relay.claim_one().await.probe);
}
