//! Promise 12: a message whose attempts take relays down with them.

use crate::support::{Fixture, Relay, is_fenced};

/// A relay dies with all that it holds.
async fn dies(fixture: &Fixture, relay: &Relay) {
    fixture
        .execute(&format!(
            "UPDATE queue.incarnation SET fenced_at = now() WHERE id = {}",
            relay.id
        ))
        .await;
    fixture.queue.reclaim(100).await.unwrap();
}

#[tokio::test]
async fn after_two_unclean_takeovers_a_message_is_attempted_alone_and_after_four_held() {
    let fixture = Fixture::new().await;
    let killer = fixture.queue_unleased(&["a@example.com"]).await;
    for _ in 0..2 {
        let relay = fixture.relay().await;
        assert!(relay.claimer.claim_suspect().await.unwrap().is_none());
        relay.claim_one().await;
        dies(&fixture, &relay).await;
    }
    for takeovers in 2..4 {
        let relay = fixture.relay().await;
        assert!(relay.claim().await.is_empty(), "it is attempted alone");
        let suspect = relay.claimer.claim_suspect().await.unwrap().unwrap();
        assert_eq!(suspect.unclean_takeovers, takeovers);
        assert!(relay.claimer.claim_suspect().await.unwrap().is_none());
        dies(&fixture, &relay).await;
    }
    assert_eq!(fixture.state_of(killer).await, "held");
    let reason: String = fixture.value("SELECT last_reply FROM queue.unit").await;
    assert!(reason.contains("4 relays died"), "{reason}");
    fixture.assert_balance(1).await;
}

#[tokio::test]
async fn whoever_was_merely_there_is_cleared_by_an_attempt_of_its_own() {
    let fixture = Fixture::new().await;
    for _ in 0..3 {
        fixture.queue_unleased(&["innocent@example.com"]).await;
    }
    for _ in 0..2 {
        let relay = fixture.relay().await;
        assert_eq!(relay.claim().await.len(), 3);
        dies(&fixture, &relay).await;
    }
    let relay = fixture.relay().await;
    for _ in 0..3 {
        let suspect = relay.claimer.claim_suspect().await.unwrap().unwrap();
        fixture.defer(suspect, std::time::Duration::ZERO).await;
    }
    testkit::wait_until("all to be due again", async || {
        relay.promote().await;
        fixture
            .value::<i64>("SELECT count(*) FROM queue.unit WHERE state = 'ready'")
            .await
            == 3
    })
    .await;
    for unit in relay.claim().await {
        assert_eq!(unit.unclean_takeovers, 0);
        assert!(!is_fenced(&fixture.deliver(unit).await));
    }
    fixture.assert_empty().await;
}

#[tokio::test]
async fn who_ends_in_good_order_leaves_no_suspicion() {
    let fixture = Fixture::new().await;
    fixture.queue_unleased(&["a@example.com"]).await;
    for _ in 0..3 {
        let relay = fixture.relay().await;
        assert_eq!(relay.claim_one().await.unclean_takeovers, 0);
        fixture.queue.end_incarnation(relay.id).await.unwrap();
        assert_eq!(fixture.queue.reclaim(100).await.unwrap().ready, 1);
    }
}

#[tokio::test]
async fn a_lease_to_a_relay_that_was_dead_already_leaves_no_suspicion() {
    let fixture = Fixture::new().await;
    let dead = fixture.relay().await;
    dies(&fixture, &dead).await;
    fixture.queue_leased(dead.id, &["a@example.com"]).await;
    assert_eq!(fixture.queue.reclaim(100).await.unwrap().ready, 1);
    assert_eq!(fixture.relay().await.claim_one().await.unclean_takeovers, 0);
}
