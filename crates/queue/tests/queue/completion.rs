//! Promises 3, 5 and 11: what a completion changes, and when it changes nothing.

use std::time::Duration;

use queue::{
    CompleteConfig, Completed, Completer, Completion, JournalOutcome, LeasedUnit, NewMessage,
    Origin, QueueId, Rest, Service, Settlement,
};
use smtp::{EnhancedStatus, ReversePath};
use time::OffsetDateTime;

use crate::support::{
    Fixture, RELEASE, execute, is_fenced, line, message, settle_all, value, wait_for_blocked,
};

/// A report of a failure, to be leased to the unit's holder.
fn notification(unit: &LeasedUnit) -> NewMessage {
    let id = QueueId::generate(unit.lease.unit.queue_id.shard());
    NewMessage {
        reverse_path: ReversePath::Null,
        origin: Origin::own(Service::Outbound),
        lease_to: Some(unit.lease.holder),
        ..message(id, &["sender@example.org"])
    }
}

#[tokio::test]
async fn a_zombie_changes_nothing_but_the_journal() {
    let fixture = Fixture::new().await;
    let (zombie, heir) = (fixture.relay().await, fixture.relay().await);
    let unit = fixture
        .queue_leased(zombie.id, &["a@example.com"])
        .await
        .remove(0);
    let id = unit.lease.unit.queue_id;
    fixture
        .execute(&format!(
            "UPDATE queue.incarnation SET fenced_at = now() WHERE id = {}",
            zombie.id
        ))
        .await;
    assert_eq!(fixture.queue.reclaim(100).await.unwrap().ready, 1);
    let taken_over = heir.claim_one().await;
    assert_eq!(taken_over.lease.attempt, 2);

    let failed = settle_all(&unit, Settlement::Failed);
    let report = notification(&unit);
    let late = Completion::new(unit, failed, RELEASE)
        .journalled([line(JournalOutcome::Failed, "550 5.1.1 no such user")])
        .notifying([report]);
    assert!(is_fenced(&fixture.complete(late).await));

    assert_eq!(fixture.state_of(id).await, "leased");
    fixture.assert_balance(1).await;
    let fenced: bool = fixture.value("SELECT fenced FROM queue.attempt").await;
    assert!(fenced);
    assert!(!is_fenced(&fixture.deliver(taken_over).await));
    fixture.assert_empty().await;
}

#[tokio::test]
async fn the_same_completion_counts_once() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let unit = fixture
        .queue_leased(relay.id, &["a@example.com"])
        .await
        .remove(0);
    assert!(!is_fenced(&fixture.deliver(unit.clone()).await));
    assert!(is_fenced(&fixture.deliver(unit).await));
    fixture.assert_empty().await;
}

#[tokio::test]
async fn two_relays_that_finish_the_last_two_units_at_once_leave_nothing_behind() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let units = fixture
        .queue_leased(relay.id, &["a@example.com", "b@example.net"])
        .await;
    let id = units[0].lease.unit.queue_id;
    // Both statements take their snapshots before either can lower the count.
    let mut locker = fixture.database.connect().await;
    execute(
        &mut locker,
        &format!("BEGIN; SELECT FROM queue.message WHERE id = '{id}' FOR UPDATE"),
    )
    .await;
    let mut ends = Vec::new();
    for (blocked, unit) in (1..).zip(units) {
        let completer = Completer::start(&fixture.queue, &CompleteConfig::new("one-of-two"));
        let everybody = settle_all(&unit, Settlement::Delivered);
        let end = Completion::new(unit, everybody, RELEASE);
        ends.push(tokio::spawn(async move { completer.complete(end).await }));
        wait_for_blocked(&mut locker, blocked).await;
    }
    execute(&mut locker, "COMMIT").await;
    for end in ends {
        assert!(!is_fenced(&end.await.unwrap().unwrap()));
    }
    fixture.assert_empty().await;
}

#[tokio::test]
async fn content_stays_until_the_last_unit_is_settled() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let recipients = ["a@one.example", "b@two.example", "c@three.example"];
    let mut units = fixture.queue_leased(relay.id, &recipients).await;
    let id = units[0].lease.unit.queue_id;
    fixture.deliver(units.remove(0)).await;
    fixture
        .defer(units.remove(0), Duration::from_secs(60))
        .await;
    assert_eq!(fixture.queue.load_content([id]).await.unwrap().len(), 1);
    let remaining: i32 = fixture.value("SELECT remaining FROM queue.message").await;
    assert_eq!(remaining, 2);
    fixture.deliver(units.remove(0)).await;
    fixture.assert_balance(1).await;
    fixture
        .execute("UPDATE queue.unit SET due_at = now() - interval '1 s'")
        .await;
    assert_eq!(relay.promote().await, 1);
    fixture.deliver(relay.claim_one().await).await;
    fixture.assert_empty().await;
}

#[tokio::test]
async fn only_who_is_settled_leaves_the_queue() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let recipients = [
        "a@example.com",
        "b@example.com",
        "c@example.com",
        "d@example.com",
    ];
    let unit = fixture.queue_leased(relay.id, &recipients).await.remove(0);
    let settled = [
        (0, Settlement::Delivered),
        (2, Settlement::Failed),
        (99, Settlement::Delivered),
    ];
    let due_at = OffsetDateTime::now_utc() + Duration::from_secs(600);
    let rest = Rest::Defer {
        due_at,
        status: EnhancedStatus::new(4, 2, 1),
        reply: "450 4.2.1 greylisted".to_owned(),
    };
    fixture.complete(Completion::new(unit, settled, rest)).await;
    let balance = fixture.queue.balances().await.unwrap().remove(0);
    assert_eq!(
        (
            balance.accepted,
            balance.delivered,
            balance.failed,
            balance.queued,
            balance.difference
        ),
        (4, 1, 1, 2, 0)
    );
    let kept: String = fixture
        .value(
            "SELECT concat_ws('|', u.state, v.recipients, u.recipient_numbers, u.tries,
                    u.last_status, u.last_reply, u.last_attempt_at IS NOT NULL)
             FROM queue.unit u JOIN queue.units v ON v.queue_id = u.message",
        )
        .await;
    assert_eq!(
        kept,
        "deferred|{b@example.com,d@example.com}|{1,3}|1|4.2.1|450 4.2.1 greylisted|t"
    );
    assert_eq!(relay.promote().await, 0, "not yet due");
    fixture
        .execute("UPDATE queue.unit SET due_at = now() - interval '1 s'")
        .await;
    relay.promote().await;
    let unit = relay.claim_one().await;
    assert_eq!(unit.tries, 1);
    let numbers: Vec<i32> = unit
        .recipients
        .iter()
        .map(|recipient| recipient.number)
        .collect();
    assert_eq!(numbers, [1, 3]);
    fixture.deliver(unit).await;
    fixture.assert_empty().await;
}

#[tokio::test]
async fn the_last_try_falls_at_the_moment_of_expiry() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let expires_at = OffsetDateTime::now_utc() + Duration::from_secs(100);
    let message = NewMessage {
        expires_at,
        lease_to: Some(relay.id),
        ..fixture.message(&["a@example.com"])
    };
    let unit = fixture
        .enqueuer
        .enqueue(message)
        .await
        .unwrap()
        .units
        .remove(0);
    fixture.defer(unit, Duration::from_secs(3600)).await;
    let on_time: bool = fixture
        .value("SELECT due_at = expires_at FROM queue.unit")
        .await;
    assert!(on_time);
}

#[tokio::test]
async fn what_is_given_back_untried_does_not_count_as_a_try() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let unit = fixture
        .queue_leased(relay.id, &["a@example.com"])
        .await
        .remove(0);
    fixture
        .complete(Completion::new(unit, [], Rest::Release { charge: false }))
        .await;
    let unit = relay.claim_one().await;
    assert_eq!((unit.tries, unit.lease.attempt), (0, 2));
    fixture
        .complete(Completion::new(unit, [], Rest::Release { charge: true }))
        .await;
    let unit = relay.claim_one().await;
    assert_eq!((unit.tries, unit.lease.attempt), (1, 3));
    let lease = unit.lease;
    assert_eq!(relay.claimer.give_back([lease]).await.unwrap(), 1);
    assert_eq!(
        relay.claimer.give_back([lease]).await.unwrap(),
        0,
        "not held any more"
    );
    let unit = relay.claim_one().await;
    assert_eq!((unit.tries, unit.lease.attempt), (1, 4));
    let held = Rest::Hold {
        reason: "a route says so".to_owned(),
    };
    fixture.complete(Completion::new(unit, [], held)).await;
    let reason: String = fixture
        .value("SELECT last_reply FROM queue.unit WHERE state = 'held'")
        .await;
    assert_eq!(reason, "a route says so");
    fixture.assert_balance(1).await;
}

#[tokio::test]
async fn a_failure_and_its_report_are_one_commit() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let unit = fixture
        .queue_leased(relay.id, &["a@example.com"])
        .await
        .remove(0);
    let report = notification(&unit);
    let report_id = report.id;
    let failed = settle_all(&unit, Settlement::Failed);
    let end = Completion::new(unit, failed, RELEASE).notifying([report]);
    let Completed::Done { mut notifications } = fixture.complete(end).await else {
        panic!("fenced");
    };
    let report = notifications.remove(0);
    assert_eq!(report.lease.unit.queue_id, report_id);
    assert!(report.content.is_some());
    fixture.assert_balance(1).await;
    fixture.deliver(report).await;
    fixture.assert_empty().await;
    let balance = fixture.queue.balances().await.unwrap().remove(0);
    assert_eq!(
        (balance.accepted, balance.delivered, balance.failed),
        (2, 1, 1)
    );
}

#[tokio::test]
async fn a_report_that_cannot_be_queued_undoes_the_failure() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    fixture
        .execute("ALTER TABLE queue.message ADD CHECK (service <> 'outbound')")
        .await;
    let unit = fixture
        .queue_leased(relay.id, &["a@example.com"])
        .await
        .remove(0);
    let id = unit.lease.unit.queue_id;
    let failed = settle_all(&unit, Settlement::Failed);
    let report = notification(&unit);
    let end = Completion::new(unit, failed, RELEASE).notifying([report]);
    let refused = fixture.completer.complete(end).await;
    assert!(
        matches!(refused, Err(queue::CompleteError::Rejected(_))),
        "{refused:?}"
    );
    assert_eq!(fixture.state_of(id).await, "leased");
    fixture.assert_balance(1).await;
}

#[tokio::test]
async fn a_null_reverse_path_never_yields_a_report() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let bounce = NewMessage {
        reverse_path: ReversePath::Null,
        lease_to: Some(relay.id),
        ..fixture.message(&["a@example.com"])
    };
    let unit = fixture
        .enqueuer
        .enqueue(bounce)
        .await
        .unwrap()
        .units
        .remove(0);
    let failed = settle_all(&unit, Settlement::Failed);
    let report = notification(&unit);
    let end = Completion::new(unit, failed, RELEASE).notifying([report]);
    fixture.complete(end).await;
    fixture.assert_empty().await;
}

#[tokio::test]
async fn completions_of_many_kinds_share_a_commit() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let id = || QueueId::generate(queue::Shard::new(5).unwrap());
    let mut units = Vec::new();
    for number in 0..20 {
        let message = NewMessage {
            lease_to: Some(relay.id),
            tenant: queue::Tenant(number % 3),
            ..message(id(), &["a@one.example", "b@one.example", "c@two.example"])
        };
        units.extend(fixture.enqueuer.enqueue(message).await.unwrap().units);
    }
    let mut locker = fixture.database.connect().await;
    execute(&mut locker, "BEGIN; LOCK TABLE queue.unit").await;
    let mut ends = Vec::new();
    for (number, unit) in units.into_iter().enumerate() {
        let everybody = settle_all(&unit, Settlement::Delivered);
        let one = [(unit.recipients[0].number, Settlement::Expired)];
        let hold = Rest::Hold {
            reason: "test".to_owned(),
        };
        let (unit, stale) = match number % 4 {
            3 => (
                LeasedUnit {
                    lease: queue::Lease {
                        attempt: 7,
                        ..unit.lease
                    },
                    ..unit
                },
                true,
            ),
            _ => (unit, false),
        };
        let end = match number % 4 {
            0 => Completion::new(unit, everybody, RELEASE),
            1 => Completion::new(unit, one, hold),
            _ => Completion::new(unit, [], RELEASE),
        };
        let end = end.journalled([line(JournalOutcome::Deferred, "451")]);
        let completer = fixture.completer.clone();
        ends.push((
            stale,
            tokio::spawn(async move { completer.complete(end).await }),
        ));
        tokio::task::yield_now().await;
    }
    execute(&mut locker, "COMMIT").await;
    for (stale, end) in ends {
        assert_eq!(is_fenced(&end.await.unwrap().unwrap()), stale);
    }
    let journal: (i64, i64) =
        sqlx::query_as("SELECT count(*) FILTER (WHERE fenced), count(*) FROM queue.attempt")
            .fetch_one(&mut locker)
            .await
            .unwrap();
    assert_eq!(journal, (10, 40));
    let queued: i64 = value(
        &mut locker,
        "SELECT sum(cardinality(recipients)) FROM queue.unit",
    )
    .await;
    fixture.assert_balance(queued).await;
    let inconsistent: i64 = value(
        &mut locker,
        "SELECT count(*) FROM queue.message m
         WHERE remaining <> (SELECT count(*) FROM queue.unit u WHERE u.message = m.id)",
    )
    .await;
    assert_eq!(inconsistent, 0);
}
