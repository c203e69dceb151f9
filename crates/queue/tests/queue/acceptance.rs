//! Promises 1 and 2: what `250` rests on, and what shares a commit.

use queue::{EnqueueError, NewMessage, QueueId, Shard};
use smtp::{ReplyCode, ReversePath};

use crate::support::{Fixture, execute, line, mailbox, settle_all, value, wait_for_blocked};

#[tokio::test]
async fn what_is_queued_reads_back_as_it_was() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let mut message =
        fixture.message(&["a@example.com", "b@example.com", "\"q \\\"q\"@[192.0.2.9]"]);
    message.content = queue::Content::new(&b"Received: here\r\n"[..], vec![0xff, 0, b'\r', b'\n']);
    let (id, trace, expires_at) = (message.id, message.trace, message.expires_at);
    fixture.enqueuer.enqueue(message).await.unwrap();

    let mut units = relay.claim().await;
    units.sort_by_key(|unit| unit.lease.unit);
    assert_eq!(units.len(), 2);
    let recipients: Vec<(i32, String)> = units
        .iter()
        .flat_map(|unit| &unit.recipients)
        .map(|recipient| (recipient.number, recipient.mailbox.to_string()))
        .collect();
    assert_eq!(
        recipients,
        [
            (0, "a@example.com".to_owned()),
            (1, "b@example.com".to_owned()),
            (2, "\"q \\\"q\"@[192.0.2.9]".to_owned()),
        ]
    );
    assert_eq!(units[0].domain, "example.com");
    assert_eq!(units[1].domain, "[192.0.2.9]");
    for unit in &units {
        assert_eq!(
            unit.reverse_path,
            ReversePath::Mailbox(mailbox("sender@example.org"))
        );
        assert_eq!(unit.trace, trace);
        assert_eq!(unit.lease.attempt, 1);
        assert_eq!(unit.size, 20);
        assert!((unit.expires_at - expires_at).abs() < time::Duration::milliseconds(1));
        assert!((unit.accepted_at - id.created_at()).abs() < time::Duration::minutes(1));
    }
    let content = fixture.queue.load_content([id]).await.unwrap();
    assert_eq!(
        &content[&id].to_bytes()[..],
        b"Received: here\r\n\xff\0\r\n"
    );
}

#[tokio::test]
async fn a_null_reverse_path_stays_null() {
    let fixture = Fixture::new().await;
    let message = NewMessage {
        reverse_path: ReversePath::Null,
        ..fixture.message(&["a@example.com"])
    };
    fixture.enqueuer.enqueue(message).await.unwrap();
    let unit = fixture.relay().await.claim_one().await;
    assert!(unit.reverse_path.is_null());
}

#[tokio::test]
async fn a_lease_comes_with_the_insert_and_with_the_content() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let units = fixture
        .queue_leased(relay.id, &["a@example.com", "b@example.net"])
        .await;
    assert_eq!(units.len(), 2);
    assert!(relay.claim().await.is_empty(), "leased already");
    for unit in units {
        assert_eq!(unit.lease.holder, relay.id);
        assert!(
            unit.content
                .as_ref()
                .is_some_and(|content| !content.is_empty())
        );
        assert!(!crate::support::is_fenced(&fixture.deliver(unit).await));
    }
    fixture.assert_empty().await;
}

#[tokio::test]
async fn commits_are_synchronous() {
    let fixture = Fixture::new().await;
    // A session of the queue tells by a trigger how it commits.
    fixture
        .execute(
            "CREATE TABLE seen (setting text);
             CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL;
             END $$;
             CREATE TRIGGER look_in AFTER INSERT ON queue.message EXECUTE FUNCTION look();
             CREATE TRIGGER look_out AFTER DELETE ON queue.message EXECUTE FUNCTION look();",
        )
        .await;
    fixture
        .execute(
            "DO $$ BEGIN
                 EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off',
                                current_database());
             END $$",
        )
        .await;
    let relay = fixture.relay().await;
    let unit = fixture
        .queue_leased(relay.id, &["a@example.com"])
        .await
        .remove(0);
    fixture.deliver(unit).await;
    let settings: String = fixture
        .value("SELECT string_agg(DISTINCT setting, ' ') FROM seen")
        .await;
    assert_eq!(settings, "on");
}

#[tokio::test]
async fn all_recipients_are_queued_or_none() {
    let fixture = Fixture::new().await;
    fixture
        .execute("ALTER TABLE queue.unit ADD CHECK (domain <> 'refused.example')")
        .await;
    let message = fixture.message(&["a@example.com", "b@refused.example"]);
    let error = fixture.enqueuer.enqueue(message).await.unwrap_err();
    assert!(matches!(error, EnqueueError::Rejected(_)), "{error}");
    assert_eq!(error.reply().code, ReplyCode::LOCAL_ERROR);
    fixture.assert_empty().await;
}

#[tokio::test]
async fn a_message_without_recipients_is_refused() {
    let fixture = Fixture::new().await;
    let error = fixture
        .enqueuer
        .enqueue(fixture.message(&[]))
        .await
        .unwrap_err();
    assert!(matches!(error, EnqueueError::NoRecipients), "{error}");
}

/// Queues messages while the table is locked, so that all but the first few gather.
async fn queue_together(
    fixture: &Fixture,
    messages: Vec<NewMessage>,
) -> Vec<Result<(), EnqueueError>> {
    let mut locker = fixture.database.connect().await;
    execute(&mut locker, "BEGIN; LOCK TABLE queue.message").await;
    let mut callers = Vec::new();
    // Both lanes are at work, each with one message, before the others come.
    for blocked in 1..=2 {
        let (enqueuer, message) = (
            fixture.enqueuer.clone(),
            fixture.message(&["first@example.com"]),
        );
        callers.push(tokio::spawn(async move { enqueuer.enqueue(message).await }));
        wait_for_blocked(&mut locker, blocked).await;
    }
    let mut others = Vec::new();
    for message in messages {
        let enqueuer = fixture.enqueuer.clone();
        others.push(tokio::spawn(async move {
            enqueuer.enqueue(message).await.map(drop)
        }));
        tokio::task::yield_now().await;
    }
    execute(&mut locker, "COMMIT").await;
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    let mut answers = Vec::new();
    for caller in others {
        answers.push(caller.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn messages_that_come_during_a_commit_share_the_next() {
    let fixture = Fixture::new().await;
    let shard = Shard::new(3).unwrap();
    let messages =
        (0..100).map(|_| crate::support::message(QueueId::generate(shard), &["a@example.com"]));
    let answers = queue_together(&fixture, messages.collect()).await;
    assert!(answers.iter().all(Result::is_ok));
    let statistics = fixture.enqueuer.statistics();
    assert_eq!(statistics.messages, 102);
    assert!(statistics.commits <= 6, "{statistics:?}");
    fixture.assert_balance(102).await;
}

#[tokio::test]
async fn one_bad_message_never_fails_its_neighbours() {
    let fixture = Fixture::new().await;
    fixture
        .execute("ALTER TABLE queue.message ADD CHECK (tenant <> 666)")
        .await;
    let shard = Shard::new(3).unwrap();
    let messages = (0..50).map(|number| {
        let mut message = crate::support::message(QueueId::generate(shard), &["a@example.com"]);
        if number == 17 {
            message.tenant = queue::Tenant(666);
        }
        message
    });
    let answers = queue_together(&fixture, messages.collect()).await;
    for (number, answer) in answers.iter().enumerate() {
        match answer {
            Ok(()) => assert_ne!(number, 17),
            Err(error) => {
                assert!(matches!(error, EnqueueError::Rejected(_)), "{error}");
                assert_eq!(number, 17);
            }
        }
    }
    fixture.assert_balance(51).await;
}

#[tokio::test]
async fn the_same_message_is_queued_once() {
    let fixture = Fixture::new().await;
    let message = fixture.message(&["a@example.com"]);
    fixture.enqueuer.enqueue(message.clone()).await.unwrap();
    let error = fixture.enqueuer.enqueue(message.clone()).await.unwrap_err();
    assert!(
        matches!(error, EnqueueError::AlreadyQueued(id) if id == message.id),
        "{error}"
    );
    fixture.assert_balance(1).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_no_commit() {
    let fixture = Fixture::new().await;
    let mut locker = fixture.database.connect().await;
    execute(&mut locker, "BEGIN; LOCK TABLE queue.message").await;
    let (enqueuer, message) = (
        fixture.enqueuer.clone(),
        fixture.message(&["a@example.com"]),
    );
    let caller = tokio::spawn(async move { enqueuer.enqueue(message).await });
    wait_for_blocked(&mut locker, 1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    execute(&mut locker, "COMMIT").await;
    testkit::wait_until("the message to be queued", async || {
        value::<i64>(&mut locker, "SELECT count(*) FROM queue.unit").await == 1
    })
    .await;
}

#[tokio::test]
async fn healthy_mail_is_written_once_and_deleted_once() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay().await;
    let unit = fixture
        .queue_leased(relay.id, &["a@example.com"])
        .await
        .remove(0);
    let id = unit.lease.unit.queue_id;
    let delivered = settle_all(&unit, queue::Settlement::Delivered);
    let completion = queue::Completion::new(unit, delivered, crate::support::RELEASE)
        .journalled([line(queue::JournalOutcome::Delivered, "250 2.0.0 ok")]);
    fixture.complete(completion).await;
    fixture.assert_empty().await;
    let journal: String = fixture
        .value(&format!(
            "SELECT concat_ws('|', node, domain, reverse_path, recipients, outcome, reply, host,
                              fenced, attempt, delay_ms >= 0)
             FROM queue.attempts WHERE queue_id = '{id}'"
        ))
        .await;
    assert_eq!(
        journal,
        "test-node|example.com|sender@example.org|{a@example.com}|delivered|250 2.0.0 ok|\
         mx.example.com|f|1|t"
    );
}
