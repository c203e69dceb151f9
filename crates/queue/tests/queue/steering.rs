//! Steering by operators: by function, never by hand.

use std::time::Duration;

use queue::{DestinationFailure, DestinationKey, Filter, NewMessage, Steered, UnitState};
use smtp::ReversePath;

use crate::support::{Fixture, TENANT, is_fenced, mailbox, settle_all};

fn everything() -> Filter {
    Filter::default()
}

fn changed(steered: Steered) -> (u64, u64) {
    assert_eq!(steered.next, None);
    (steered.changed, steered.leased)
}

#[tokio::test]
async fn held_mail_is_not_attempted_and_does_not_expire() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let message = NewMessage {
        expires_at: time::OffsetDateTime::now_utc() - Duration::from_secs(1),
        ..fixture.message(&["a@dead.example"])
    };
    let id = message.id;
    fixture.enqueuer.enqueue(message).await.unwrap();
    let held = fixture
        .queue
        .hold(&everything(), "asked by phone", None, 10)
        .await
        .unwrap();
    assert_eq!(changed(held), (1, 0));
    assert_eq!(fixture.state_of(id).await, "held");
    let destination = DestinationKey {
        tenant: TENANT,
        domain: "dead.example".to_owned(),
    };
    let failure = DestinationFailure {
        reply: "timeout",
        route: "mx",
        first_pause: Duration::from_secs(60),
        longest_pause: Duration::from_secs(60),
    };
    fixture.queue.suspend(&destination, failure).await.unwrap();
    assert!(relay.claim().await.is_empty());
    assert!(
        relay
            .claimer
            .expire(id.shard(), 10)
            .await
            .unwrap()
            .is_empty()
    );

    let released = fixture
        .queue
        .release(&everything(), None, 10)
        .await
        .unwrap();
    assert_eq!(changed(released), (1, 0));
    // Its time was up meanwhile, and still it gets one attempt.
    assert!(
        relay
            .claimer
            .expire(id.shard(), 10)
            .await
            .unwrap()
            .is_empty()
    );
    fixture.queue.open(&destination).await.unwrap();
    assert_eq!(relay.claim_one().await.lease.unit.queue_id, id);
}

#[tokio::test]
async fn flushed_mail_is_due_now_and_its_destination_open() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let unit = fixture
        .queue_leased(relay.id, &["a@dead.example"])
        .await
        .remove(0);
    fixture.defer(unit, Duration::from_secs(3600)).await;
    fixture.queue_unleased(&["b@dead.example"]).await;
    let destination = DestinationKey {
        tenant: TENANT,
        domain: "dead.example".to_owned(),
    };
    let failure = DestinationFailure {
        reply: "timeout",
        route: "mx",
        first_pause: Duration::from_secs(3600),
        longest_pause: Duration::from_secs(3600),
    };
    fixture.queue.suspend(&destination, failure).await.unwrap();
    assert!(relay.claim().await.is_empty());
    let filter = Filter {
        domain: Some("DEAD.example".to_owned()),
        ..everything()
    };
    assert_eq!(
        changed(fixture.queue.flush(&filter, None, 10).await.unwrap()),
        (2, 0)
    );
    assert_eq!(relay.claim().await.len(), 2);
    assert_eq!(
        changed(fixture.queue.flush(&filter, None, 10).await.unwrap()),
        (0, 0)
    );
}

#[tokio::test]
async fn cancelled_mail_leaves_nothing_behind() {
    let fixture = Fixture::new().await;
    fixture
        .queue_unleased(&["a@one.example", "b@two.example"])
        .await;
    fixture.queue_unleased(&["c@one.example"]).await;
    let filter = Filter {
        domain: Some("one.example".to_owned()),
        ..everything()
    };
    assert_eq!(
        changed(fixture.queue.cancel(&filter, None, 10).await.unwrap()),
        (2, 0)
    );
    fixture.assert_balance(1).await;
    assert_eq!(
        fixture
            .value::<i64>("SELECT count(*) FROM queue.content")
            .await,
        1
    );
    assert_eq!(
        changed(fixture.queue.cancel(&everything(), None, 10).await.unwrap()),
        (1, 0)
    );
    fixture.assert_empty().await;
    let balance = fixture.queue.balances().await.unwrap().remove(0);
    assert_eq!((balance.accepted, balance.cancelled), (3, 3));
}

#[tokio::test]
async fn a_recipient_is_cancelled_alone() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    fixture
        .queue_unleased(&["Ann@example.com", "bob@example.com", "cid@example.com"])
        .await;
    let filter = Filter {
        recipient: Some("ann@*".to_owned()),
        ..everything()
    };
    assert_eq!(
        changed(fixture.queue.cancel(&filter, None, 10).await.unwrap()),
        (1, 0)
    );
    let unit = relay.claim_one().await;
    let kept: Vec<(i32, String)> = unit
        .recipients
        .iter()
        .map(|recipient| (recipient.number, recipient.mailbox.to_string()))
        .collect();
    assert_eq!(
        kept,
        [
            (1, "bob@example.com".to_owned()),
            (2, "cid@example.com".to_owned())
        ]
    );
    fixture.assert_balance(2).await;
}

#[tokio::test]
async fn what_is_being_sent_cannot_be_called_back_but_goes_no_second_time() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let mut units = fixture
        .queue_leased(relay.id, &["a@one.example", "b@two.example"])
        .await;
    let id = units[0].lease.unit.queue_id;
    assert_eq!(
        changed(fixture.queue.cancel(&everything(), None, 10).await.unwrap()),
        (0, 2)
    );
    // One is delivered all the same, the other is not.
    assert!(!is_fenced(&fixture.deliver(units.remove(0)).await));
    fixture
        .defer(units.remove(0), Duration::from_secs(60))
        .await;
    assert_eq!(fixture.state_of(id).await, "held");
    assert_eq!(
        changed(fixture.queue.cancel(&everything(), None, 10).await.unwrap()),
        (1, 0)
    );
    fixture.assert_empty().await;
}

#[tokio::test]
async fn a_hold_survives_its_relay_and_can_be_taken_back() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let unit = fixture
        .queue_leased(relay.id, &["a@example.com"])
        .await
        .remove(0);
    let id = unit.lease.unit.queue_id;
    assert_eq!(
        changed(
            fixture
                .queue
                .hold(&everything(), "wait", None, 10)
                .await
                .unwrap()
        ),
        (0, 1)
    );
    fixture.queue.end_incarnation(relay.id).await.unwrap();
    assert_eq!(fixture.queue.reclaim(10).await.unwrap().held, 1);
    assert_eq!(fixture.state_of(id).await, "held");
    fixture
        .queue
        .release(&everything(), None, 10)
        .await
        .unwrap();
    let relay = fixture.relay().await;
    let unit = relay.claim_one().await;
    fixture
        .queue
        .hold(&everything(), "wait", None, 10)
        .await
        .unwrap();
    fixture
        .queue
        .release(&everything(), None, 10)
        .await
        .unwrap();
    relay.claimer.give_back([unit.lease]).await.unwrap();
    assert_eq!(fixture.state_of(id).await, "ready");
}

#[tokio::test]
async fn filters_say_which_mail_is_meant() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let first = fixture.queue_unleased(&["a@example.com"]).await;
    let report = NewMessage {
        reverse_path: ReversePath::Null,
        tenant: queue::Tenant(2),
        ..fixture.message(&["b_1@example.net"])
    };
    let report_id = report.id;
    fixture.enqueuer.enqueue(report).await.unwrap();
    let leased = fixture
        .queue_leased(relay.id, &["c@example.org"])
        .await
        .remove(0);
    let ids = async |filter: Filter| -> Vec<_> {
        let units = fixture.queue.list(&filter, None, 100).await.unwrap();
        units.into_iter().map(|unit| unit.unit.queue_id).collect()
    };
    assert_eq!(ids(everything()).await.len(), 3);
    assert_eq!(
        ids(Filter {
            queue_id: Some(first),
            ..everything()
        })
        .await,
        [first]
    );
    assert_eq!(
        ids(Filter {
            tenant: Some(queue::Tenant(2)),
            ..everything()
        })
        .await,
        [report_id]
    );
    assert_eq!(
        ids(Filter {
            sender: Some(String::new()),
            ..everything()
        })
        .await,
        [report_id]
    );
    let by_recipient = |pattern: &str| Filter {
        recipient: Some(pattern.to_owned()),
        ..everything()
    };
    assert_eq!(ids(by_recipient("B?1@*")).await, [report_id]);
    assert_eq!(ids(by_recipient("b%")).await, []);
    assert_eq!(ids(by_recipient("B__@*")).await, []);
    let state = Filter {
        state: Some(UnitState::Leased),
        ..everything()
    };
    assert_eq!(ids(state).await, [leased.lease.unit.queue_id]);
    let units = fixture.queue.list(&everything(), None, 100).await.unwrap();
    let listed = units
        .iter()
        .find(|unit| unit.unit.queue_id == leased.lease.unit.queue_id)
        .unwrap();
    assert_eq!(listed.state, UnitState::Leased);
    assert_eq!(listed.holder, Some(relay.id));
    assert_eq!(listed.recipients, [mailbox("c@example.org")]);
    let counts = fixture.queue.counts().await.unwrap();
    assert_eq!(counts.iter().map(|count| count.units).sum::<i64>(), 3);
}

#[tokio::test]
async fn bounded_calls_add_up() {
    let fixture = Fixture::new().await;
    for _ in 0..25 {
        fixture.queue_unleased(&["a@example.com"]).await;
    }
    let mut after = None;
    let mut total = 0;
    loop {
        let steered = fixture
            .queue
            .hold(&everything(), "all", after, 10)
            .await
            .unwrap();
        assert!(steered.changed <= 10);
        total += steered.changed;
        after = steered.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(total, 25);
    let mut listed = 0;
    let mut after = None;
    loop {
        let page = fixture.queue.list(&everything(), after, 10).await.unwrap();
        listed += page.len();
        let Some(last) = page.last() else { break };
        after = Some(queue::UnitPosition(last.unit));
    }
    assert_eq!(listed, 25);
}

#[tokio::test]
async fn steering_everything_by_hand_takes_saying_so() {
    let fixture = Fixture::new().await;
    fixture.queue_unleased(&["a@example.com"]).await;
    let mut connection = fixture.database.connect().await;
    let refused = sqlx::query("SELECT queue.cancel()")
        .execute(&mut connection)
        .await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("everything => true")
    );
    fixture
        .execute("SELECT queue.cancel(recipient => '*@example.com')")
        .await;
    fixture.assert_empty().await;
}

#[tokio::test]
async fn a_message_tells_its_story_even_after_it_has_left() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let unit = fixture
        .queue_leased(relay.id, &["a@example.com"])
        .await
        .remove(0);
    let id = unit.lease.unit.queue_id;
    let trace = unit.trace.to_string();
    let detail = fixture.queue.show(id).await.unwrap().unwrap();
    assert_eq!(detail.service.as_deref(), Some("submission"));
    assert_eq!(detail.client.as_deref(), Some("192.0.2.1"));
    assert_eq!(detail.trace, trace);
    assert_eq!((detail.units.len(), detail.attempts.len()), (1, 0));
    let delivered = settle_all(&unit, queue::Settlement::Delivered);
    let end = queue::Completion::new(unit, delivered, crate::support::RELEASE).journalled([
        crate::support::line(queue::JournalOutcome::Delivered, "250 ok"),
    ]);
    fixture.complete(end).await;
    let detail = fixture.queue.show(id).await.unwrap().unwrap();
    assert_eq!(detail.service, None);
    assert_eq!(detail.trace, trace);
    assert!(detail.units.is_empty());
    assert_eq!(
        detail.attempts[0].host.as_deref(),
        Some("mx.example.com [192.0.2.25]")
    );
    assert_eq!(detail.attempts[0].recipients, ["a@example.com"]);
    let unknown = queue::QueueId::generate(id.shard());
    assert!(fixture.queue.show(unknown).await.unwrap().is_none());
}
