//! The hand-off when relays are full, slow or gone.

use queue::IncarnationId;
use rpc::hand_off::{Credit, CreditRequest, HandOff};

use crate::relay::{BareRelay, CAPACITY, TestRelay, credit, hand_off, message, producer, small};
use crate::running::{Running, until};

/// All the credit that there is for small messages.
fn all_credit(producer: &HandOff, tenant: i64) -> Vec<Credit> {
    std::iter::from_fn(|| producer.try_credit(&small(tenant))).collect()
}

#[tokio::test]
async fn mail_at_hand_and_credits_never_exceed_the_capacity() {
    let mut relay = TestRelay::start(1).await;
    let (first, second) = (producer(&[&relay]).await, producer(&[&relay]).await);
    let mut at_hand = Vec::new();
    // Both send whatever they are allowed to, and the relay finishes nothing.
    loop {
        let mut sent = 0;
        for producer in [&first, &second] {
            for credit in all_credit(producer, 1)
                .into_iter()
                .chain(all_credit(producer, 2))
            {
                let holder = credit.holder();
                credit.send(message(holder, &["example.net"], &[b'x'; 100]));
                sent += 1;
            }
        }
        let expected = at_hand.len() + sent;
        while at_hand.len() < expected {
            at_hand.extend(relay.relay.units().await);
        }
        let held = relay.relay.hand_off.statistics().units_held;
        assert!(held <= CAPACITY.units && held == at_hand.len() as u64);
        // Two shares of a third each, and a third that is kept for the next one to come.
        if held >= CAPACITY.units / 3 * 2 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(first.try_credit(&small(1)).is_none() && second.try_credit(&small(1)).is_none());
    drop(at_hand);
    drop(credit(&first, &small(1)).await);
    drop(credit(&second, &small(1)).await);
}

#[tokio::test]
async fn credit_that_is_not_used_goes_back() {
    let relay = TestRelay::start(1).await;
    let remote = producer(&[&relay]).await;
    let bare = BareRelay::new(1);
    let local = HandOff::local(&bare.hand_off);
    for producer in [remote, local] {
        let credits = all_credit(&producer, 1);
        assert!(!credits.is_empty());
        let count = credits.len();
        drop(credits);
        assert_eq!(all_credit(&producer, 1).len(), count);
        // A message turned out to have fewer units and octets than was asked for.
        let request = CreditRequest {
            units: 5,
            size: 1_000,
            ..small(1)
        };
        let credit = producer.try_credit(&request).unwrap();
        let holder = credit.holder();
        credit.send(message(holder, &["example.net"], b"short"));
    }
}

#[tokio::test]
async fn a_tenant_that_fills_the_hand_off_leaves_room_for_another() {
    let relay = TestRelay::start(1).await;
    let remote = producer(&[&relay]).await;
    let bare = BareRelay::new(1);
    for producer in [remote, HandOff::local(&bare.hand_off)] {
        let _filled = all_credit(&producer, 1);
        assert!(producer.try_credit(&small(1)).is_none());
        assert!(producer.try_credit(&small(2)).is_some());
    }
}

#[tokio::test]
async fn credits_die_with_their_incarnation() {
    let mut relay = TestRelay::start(1).await;
    let remote = producer(&[&relay]).await;
    let local = HandOff::local(&relay.relay.hand_off);
    let old: Vec<_> = [&remote, &local]
        .into_iter()
        .map(|producer| producer.try_credit(&small(1)).unwrap())
        .collect();
    relay.relay.hand_off.close();
    until(|| remote.relays().is_empty()).await;
    assert!(local.try_credit(&small(1)).is_none());
    relay.relay.hand_off.open(IncarnationId(2));
    for credit in old {
        assert_eq!(credit.holder(), IncarnationId(1));
        credit.send(message(IncarnationId(1), &["example.net"], b"late"));
    }
    for producer in [remote, local] {
        assert_eq!(producer.statistics().dropped, 1);
        let credit = credit(&producer, &small(1)).await;
        assert_eq!(credit.holder(), IncarnationId(2));
        credit.send(message(IncarnationId(2), &["example.net"], b"new"));
        let units = relay.relay.units().await;
        assert_eq!(units[0].unit.content.as_ref().unwrap().to_bytes(), "new");
    }
    until(|| relay.relay.hand_off.statistics().units_held == 0).await;
}

#[tokio::test]
async fn units_leased_to_another_incarnation_are_not_sent() {
    let relay = TestRelay::start(1).await;
    let producer = producer(&[&relay]).await;
    let credit = credit(&producer, &small(1)).await;
    credit.send(message(IncarnationId(99), &["example.net"], b"stray"));
    assert_eq!(producer.statistics().dropped, 1);
    assert_eq!(producer.statistics().handed_off, 0);
}

#[tokio::test]
async fn a_restarted_relay_is_joined_again() {
    let relay = TestRelay::start(1).await;
    let address = relay.address().to_string();
    let producer = producer(&[&relay]).await;
    relay.server.stop().await;
    until(|| producer.relays().is_empty()).await;
    assert!(producer.try_credit(&small(1)).is_none());
    let mut relay = TestRelay::start_at(&address, 2).await;
    hand_off(&producer, b"hello").await;
    assert_eq!(
        relay.relay.units().await[0].unit.lease.holder,
        IncarnationId(2)
    );
}

#[tokio::test]
async fn a_relay_that_dies_leaves_its_mail_to_the_others() {
    let (mut first, second) = (TestRelay::start(1).await, TestRelay::start(2).await);
    let producer = producer(&[&first, &second]).await;
    second.server.stop().await;
    until(|| producer.relays() == [IncarnationId(1)]).await;
    for _ in 0..10 {
        hand_off(&producer, b"hello").await;
    }
    let mut arrived = 0;
    while arrived < 10 {
        arrived += first.relay.units().await.len();
    }
}

#[tokio::test]
async fn a_relay_that_is_not_open_lets_nobody_in_until_it_is() {
    let relay = BareRelay::new(1);
    relay.hand_off.close();
    let server = Running::plain("127.0.0.1:0", relay.hand_off.service()).await;
    let producer = HandOff::connect(&server.channel()).unwrap();
    assert!(producer.try_credit(&small(1)).is_none());
    relay.hand_off.open(IncarnationId(3));
    assert_eq!(
        credit(&producer, &small(1)).await.holder(),
        IncarnationId(3)
    );
}

#[tokio::test]
async fn a_producer_that_leaves_gives_its_credits_back() {
    let relay = TestRelay::start(1).await;
    let leaving = producer(&[&relay]).await;
    let kept: Vec<_> = all_credit(&leaving, 1);
    drop((kept, leaving));
    // Alone again: one producer may have half of the capacity.
    let producer = producer(&[&relay]).await;
    let mut relay = relay.relay;
    let mut at_hand = Vec::new();
    until(|| {
        for tenant in [1, 2] {
            for credit in all_credit(&producer, tenant) {
                let holder = credit.holder();
                credit.send(message(holder, &["example.net"], b""));
            }
        }
        relay.hand_off.statistics().units_held >= CAPACITY.units / 2 - 1
    })
    .await;
    at_hand.extend(relay.units().await);
    assert!(relay.hand_off.statistics().units_held <= CAPACITY.units / 2);
}
