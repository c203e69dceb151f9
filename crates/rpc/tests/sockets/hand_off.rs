//! The hand-off when all is well.

use std::collections::HashMap;

use queue::{DestinationKey, IncarnationId, Shard, Tenant};
use rpc::hand_off::{CreditRequest, HandOff, INLINE_LIMIT};

use crate::relay::{BareRelay, Event, TestRelay, credit, hand_off, message, producer, small};
use crate::running::until;

#[tokio::test]
async fn a_message_arrives_with_envelope_and_content() {
    let mut relay = TestRelay::start(17).await;
    let producer = producer(&[&relay]).await;
    let domains = ["example.net", "example.com", "[192.0.2.1]"];
    let request = CreditRequest {
        units: 3,
        ..small(1)
    };
    let credit = credit(&producer, &request).await;
    assert_eq!(credit.holder(), IncarnationId(17));
    let sent = message(credit.holder(), &domains, &[b'x'; 100]);
    credit.send(sent.clone());
    let received = relay.relay.units().await;
    assert_eq!(received.len(), 3);
    for (received, sent) in received.iter().zip(&sent) {
        assert_eq!(format!("{:?}", received.unit), format!("{sent:?}"));
        let content = received.unit.content.as_ref().unwrap();
        assert_eq!(content.to_bytes(), [b'x'; 100].as_slice());
    }
    let held = relay.relay.hand_off.statistics();
    assert_eq!((held.units_held, held.bytes_held), (3, 100));
    drop(received);
    let held = relay.relay.hand_off.statistics();
    assert_eq!((held.units_held, held.bytes_held), (0, 0));
}

#[tokio::test]
async fn large_content_stays_in_postgres_and_takes_no_credit_in_octets() {
    let mut relay = TestRelay::start(1).await;
    let remote = producer(&[&relay]).await;
    let mut bare = BareRelay::new(1);
    let local = HandOff::local(&bare.hand_off);
    for (size, is_inline) in [
        (INLINE_LIMIT as usize, true),
        (INLINE_LIMIT as usize + 1, false),
    ] {
        let content = vec![b'x'; size];
        for (producer, relay) in [(&remote, &mut relay.relay), (&local, &mut bare)] {
            hand_off(producer, &content).await;
            let received = relay.units().await;
            assert_eq!(received[0].unit.size, size as u64);
            assert_eq!(received[0].unit.content.is_some(), is_inline);
            let held = relay.hand_off.statistics().bytes_held;
            assert_eq!(held, if is_inline { INLINE_LIMIT } else { 0 });
        }
    }
}

#[tokio::test]
async fn thousands_of_messages_arrive_in_order() {
    const COUNT: u32 = 20_000;
    let mut relay = TestRelay::start(1).await;
    let producer = producer(&[&relay]).await;
    let sending = {
        let producer = producer.clone();
        tokio::spawn(async move {
            for number in 0..COUNT {
                hand_off(&producer, &number.to_be_bytes()).await;
            }
        })
    };
    let mut expected = 0_u32;
    while expected < COUNT {
        for handed_off in relay.relay.units().await {
            let content = handed_off.unit.content.unwrap().to_bytes();
            assert_eq!(content, expected.to_be_bytes().as_slice());
            expected += 1;
        }
    }
    sending.await.unwrap();
    let statistics = producer.statistics();
    assert_eq!(statistics.handed_off, u64::from(COUNT));
    assert_eq!(statistics.dropped, 0);
}

#[tokio::test]
async fn relays_take_turns() {
    let (first, second) = (TestRelay::start(1).await, TestRelay::start(2).await);
    let producer = producer(&[&first, &second]).await;
    let mut taken: HashMap<IncarnationId, usize> = HashMap::new();
    let credits: Vec<_> = (0..10)
        .map_while(|_| producer.try_credit(&small(1)))
        .collect();
    for credit in &credits {
        *taken.entry(credit.holder()).or_default() += 1;
    }
    assert_eq!(taken[&IncarnationId(1)], 5);
    assert_eq!(taken[&IncarnationId(2)], 5);
}

#[tokio::test]
async fn suspensions_are_told_to_those_who_are_there_and_to_those_who_come() {
    let key = |domain: &str| DestinationKey {
        tenant: Tenant(1),
        domain: domain.to_owned(),
    };
    let relay = TestRelay::start(1).await;
    relay.relay.hand_off.suspend(key("dead.example"));
    let remote = producer(&[&relay]).await;
    until(|| remote.is_suspended(&key("dead.example"))).await;
    assert!(!remote.is_suspended(&key("alive.example")));
    relay.relay.hand_off.set_suspended([key("worse.example")]);
    until(|| remote.is_suspended(&key("worse.example"))).await;
    assert!(!remote.is_suspended(&key("dead.example")));
    relay.relay.hand_off.reopen(&key("worse.example"));
    until(|| !remote.is_suspended(&key("worse.example"))).await;

    let local = HandOff::local(&relay.relay.hand_off);
    relay.relay.hand_off.suspend(key("dead.example"));
    assert!(local.is_suspended(&key("dead.example")));
}

#[tokio::test]
async fn a_hint_reaches_a_relay() {
    let mut relay = TestRelay::start(1).await;
    let remote = producer(&[&relay]).await;
    let shard = Shard::new(9).unwrap();
    for producer in [remote, HandOff::local(&relay.relay.hand_off)] {
        producer.hint(shard);
        let event = relay.relay.event().await;
        assert!(matches!(event, Event::Hint(hinted) if hinted == shard));
    }
}

#[tokio::test]
async fn without_relays_there_is_no_credit() {
    let producer = HandOff::off();
    assert!(producer.try_credit(&small(1)).is_none());
    assert_eq!(producer.statistics().refused, 1);
}
