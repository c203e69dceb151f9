//! Promises 1 and 2: what `250` rests on, and what shares a commit.

use queue::{EnqueueError, NewMessage, QueueId, Shard};
use smtp::{ReplyCode, ReversePath};
use testkit::wait_until;

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

/// Sessions that have run the insertion, and rest; not those that have run this.
const INSERTERS: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'idle' AND pid <> pg_backend_pid()
    AND query LIKE '%INSERT INTO ' || 'queue.message%'";

#[tokio::test]
async fn a_message_that_is_expected_changes_nothing_until_it_comes() {
    let fixture = Fixture::new().await;
    wait_until("a rehearsal", async || {
        fixture.enqueuer.expect_message();
        fixture.value::<i64>(INSERTERS).await == 1
    })
    .await;
    fixture.assert_empty().await;
}

#[tokio::test]
async fn a_lost_connection_is_noticed_while_a_message_is_expected() {
    let fixture = Fixture::new().await;
    fixture.queue_unleased(&["a@example.com"]).await;
    let terminate = INSERTERS.replace("count(*)", "pg_terminate_backend(pid)");
    fixture.execute(&terminate).await;
    wait_until("the session to end", async || {
        fixture.value::<i64>(INSERTERS).await == 0
    })
    .await;
    fixture.enqueuer.expect_message();
    // Lets the rehearsal begin, or there would be nothing left to expect.
    tokio::task::yield_now().await;
    fixture.queue_unleased(&["a@example.com"]).await;
    fixture.assert_balance(2).await;
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

/// Makes sessions tell how they commit, and the database want them not to wait for the disk.
async fn watch_commits(fixture: &Fixture) {
    fixture
        .execute(
            "CREATE TABLE seen (what text, setting text);
             CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO seen VALUES (TG_OP, current_setting('synchronous_commit'));
                 RETURN NULL;
             END $$;
             CREATE TRIGGER look AFTER INSERT OR DELETE OR UPDATE ON queue.unit
             FOR EACH ROW EXECUTE FUNCTION look();
             DO $$ BEGIN
                 EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off',
                                current_database());
             END $$",
        )
        .await;
}

async fn commits_seen(fixture: &Fixture) -> String {
    fixture
        .value("SELECT string_agg(DISTINCT what || ' ' || setting, ', ') FROM seen")
        .await
}

#[tokio::test]
async fn commits_wait_for_the_disk() {
    let fixture = Fixture::new().await;
    watch_commits(&fixture).await;
    let relay = fixture.relay().await;
    let unit = fixture
        .queue_leased(relay.id, &["a@example.com"])
        .await
        .remove(0);
    fixture.deliver(unit).await;
    assert_eq!(commits_seen(&fixture).await, "DELETE on, INSERT on");
}

#[tokio::test]
async fn only_deliveries_may_be_asked_not_to_wait_for_the_disk() {
    let mut fixture = Fixture::new().await;
    let config = queue::CompleteConfig {
        relaxed_deliveries: true,
        ..queue::CompleteConfig::new("test-node")
    };
    fixture.completer = queue::Completer::start(&fixture.queue, &config);
    watch_commits(&fixture).await;
    let relay = fixture.relay().await;
    let mut units = fixture
        .queue_leased(relay.id, &["a@one.example", "b@two.example"])
        .await;
    fixture.deliver(units.remove(0)).await;
    fixture
        .defer(units.remove(0), std::time::Duration::from_secs(9))
        .await;
    assert_eq!(
        commits_seen(&fixture).await,
        "DELETE off, INSERT on, UPDATE on"
    );
    let unit = fixture
        .queue_leased(relay.id, &["a@example.com"])
        .await
        .remove(0);
    fixture.execute("DELETE FROM seen").await;
    let failed = settle_all(&unit, queue::Settlement::Failed);
    fixture
        .complete(queue::Completion::new(
            unit,
            failed,
            crate::support::RELEASE,
        ))
        .await;
    assert_eq!(commits_seen(&fixture).await, "DELETE on");
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

/// Queues messages while the commit of another one is in flight.
async fn queue_together(
    fixture: &Fixture,
    messages: Vec<NewMessage>,
) -> Vec<Result<(), EnqueueError>> {
    let mut locker = fixture.database.connect().await;
    execute(&mut locker, "BEGIN; LOCK TABLE queue.message").await;
    let queue_one = |message| {
        let enqueuer = fixture.enqueuer.clone();
        tokio::spawn(async move { enqueuer.enqueue(message).await.map(drop) })
    };
    let first = queue_one(fixture.message(&["first@example.com"]));
    wait_for_blocked(&mut locker, 1).await;
    let mut others = Vec::new();
    for message in messages {
        others.push(queue_one(message));
        tokio::task::yield_now().await;
    }
    execute(&mut locker, "COMMIT").await;
    first.await.unwrap().unwrap();
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
    assert_eq!(statistics.messages, 101);
    assert!(statistics.commits <= 5, "{statistics:?}");
    fixture.assert_balance(101).await;
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
    fixture.assert_balance(50).await;
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
