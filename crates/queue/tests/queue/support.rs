//! A queue of one's own, and words to speak about it.

use std::time::Duration;

use queue::{
    ClaimLimits, Claimer, CompleteConfig, Completed, Completer, Completion, DatabaseConfig,
    EnqueueConfig, Enqueuer, IncarnationId, JournalEntry, JournalOutcome, LeasedUnit, NewMessage,
    Origin, Queue, QueueId, Registration, Rest, Service, Settlement, Shard, Tenant, TraceParent,
};
use smtp::{Body, EnhancedStatus, Mailbox, ReversePath};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Executor, FromRow};
use testkit::{TestDatabase, TestPostgres};
use time::OffsetDateTime;

pub(crate) const TENANT: Tenant = Tenant(1);

/// A queue in a fresh database, with everything that works on it.
pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
    pub(crate) queue: Queue,
    pub(crate) enqueuer: Enqueuer,
    pub(crate) completer: Completer,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::on(testkit::database().await).await
    }

    /// On a server that the test may stop and kill.
    pub(crate) async fn on_own_server() -> (Self, TestPostgres) {
        let postgres = testkit::postgres().await;
        let fixture = Self::on(postgres.database().await).await;
        (fixture, postgres)
    }

    async fn on(database: TestDatabase) -> Self {
        queue::migrate(database.url()).await.unwrap();
        let queue = Queue::connect(&DatabaseConfig::new(database.url()))
            .await
            .unwrap();
        Self {
            enqueuer: Enqueuer::start(&queue, EnqueueConfig::default()),
            completer: Completer::start(&queue, &CompleteConfig::new("test-node")),
            database,
            queue,
        }
    }

    /// A message from `sender@example.org` that expires in five days.
    pub(crate) fn message(&self, recipients: &[&str]) -> NewMessage {
        message(self.enqueuer.next_id(), recipients)
    }

    /// Queues a message for the poll; returns its name.
    pub(crate) async fn queue_unleased(&self, recipients: &[&str]) -> QueueId {
        let message = self.message(recipients);
        let id = message.id;
        let enqueued = self.enqueuer.enqueue(message).await.unwrap();
        assert!(enqueued.units.is_empty());
        id
    }

    /// Queues a message that is leased at once.
    pub(crate) async fn queue_leased(
        &self,
        holder: IncarnationId,
        recipients: &[&str],
    ) -> Vec<LeasedUnit> {
        let message = NewMessage {
            lease_to: Some(holder),
            ..self.message(recipients)
        };
        self.enqueuer.enqueue(message).await.unwrap().units
    }

    /// A relay that was just registered, without a heart.
    pub(crate) async fn relay(&self) -> Relay {
        let registration = Registration {
            address: "127.0.0.1:1".to_owned(),
            node: "test-node".to_owned(),
            version: "0".to_owned(),
        };
        let id = self.queue.register(&registration).await.unwrap();
        Relay {
            id,
            claimer: Claimer::new(self.queue.clone(), id),
        }
    }

    /// Completes a unit: every recipient delivered.
    pub(crate) async fn deliver(&self, unit: LeasedUnit) -> Completed {
        let everybody = settle_all(&unit, Settlement::Delivered);
        self.complete(Completion::new(unit, everybody, RELEASE))
            .await
    }

    /// Completes a unit: nobody settled, to be tried again after a while.
    pub(crate) async fn defer(&self, unit: LeasedUnit, after: Duration) -> Completed {
        let rest = Rest::Defer {
            due_at: OffsetDateTime::now_utc() + after,
            status: EnhancedStatus::new(4, 2, 1),
            reply: "451 4.2.1 come back later".to_owned(),
        };
        self.complete(Completion::new(unit, [], rest)).await
    }

    pub(crate) async fn complete(&self, completion: Completion) -> Completed {
        self.completer.complete(completion).await.unwrap()
    }

    /// One value of the database.
    pub(crate) async fn value<T>(&self, sql: &str) -> T
    where
        (T,): for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let mut connection = self.database.connect().await;
        value(&mut connection, sql).await
    }

    pub(crate) async fn execute(&self, sql: &str) {
        let mut connection = self.database.connect().await;
        execute(&mut connection, sql).await;
    }

    pub(crate) async fn state_of(&self, id: QueueId) -> String {
        self.value(&format!(
            "SELECT string_agg(state::text, ' ' ORDER BY number) FROM queue.unit
             WHERE message = '{id}'"
        ))
        .await
    }

    /// The ledger balances, and so many recipients are queued.
    pub(crate) async fn assert_balance(&self, queued: i64) {
        let balances = self.queue.balances().await.unwrap();
        assert!(
            balances.iter().all(|balance| balance.difference == 0),
            "{balances:?}"
        );
        let sum: i64 = balances.iter().map(|balance| balance.queued).sum();
        assert_eq!(sum, queued, "{balances:?}");
    }

    /// Not a row of any message is left.
    pub(crate) async fn assert_empty(&self) {
        for table in ["message", "content", "unit"] {
            let rows: i64 = self
                .value(&format!("SELECT count(*) FROM queue.{table}"))
                .await;
            assert_eq!(rows, 0, "queue.{table}");
        }
        self.assert_balance(0).await;
    }
}

/// An incarnation, and what it claims with.
pub(crate) struct Relay {
    pub(crate) id: IncarnationId,
    pub(crate) claimer: Claimer,
}

impl Relay {
    /// Claims from all shards, a hundred units each.
    pub(crate) async fn claim(&self) -> Vec<LeasedUnit> {
        self.claim_up_to(100).await
    }

    /// Claims from all shards, so many units of each destination in each.
    pub(crate) async fn claim_up_to(&self, per_destination: u32) -> Vec<LeasedUnit> {
        let limits = ClaimLimits {
            per_destination,
            units: 100,
        };
        let mut units = Vec::new();
        for shard in Shard::all() {
            units.extend(self.claimer.claim(shard, limits).await.unwrap());
        }
        units
    }

    /// Claims what must be exactly one unit.
    pub(crate) async fn claim_one(&self) -> LeasedUnit {
        let mut units = self.claim().await;
        assert_eq!(units.len(), 1, "{units:?}");
        units.remove(0)
    }

    pub(crate) async fn promote(&self) -> u64 {
        let mut promoted = 0;
        for shard in Shard::all() {
            promoted += self.claimer.promote(shard, 100).await.unwrap();
        }
        promoted
    }
}

pub(crate) const RELEASE: Rest = Rest::Release { charge: false };

pub(crate) fn settle_all(unit: &LeasedUnit, settlement: Settlement) -> Vec<(i32, Settlement)> {
    let numbers = unit.recipients.iter().map(|recipient| recipient.number);
    numbers.map(|number| (number, settlement)).collect()
}

pub(crate) fn message(id: QueueId, recipients: &[&str]) -> NewMessage {
    NewMessage {
        id,
        tenant: TENANT,
        reverse_path: ReversePath::Mailbox(mailbox("sender@example.org")),
        body: Body::EightBitMime,
        recipients: recipients.iter().map(|address| mailbox(address)).collect(),
        content: format!("Subject: {id}\r\n\r\nHello\r\n")
            .into_bytes()
            .into(),
        origin: Origin {
            service: Service::Submission,
            client: Some([192, 0, 2, 1].into()),
            hello: Some("client.example.org".to_owned()),
            login: Some("sender@example.org".to_owned()),
            tls: Some("TLSv1.3".to_owned()),
        },
        trace: TraceParent::generate(),
        expires_at: OffsetDateTime::now_utc() + Duration::from_secs(5 * 24 * 3600),
        lease_to: None,
    }
}

pub(crate) fn mailbox(address: &str) -> Mailbox {
    Mailbox::parse(address).unwrap()
}

/// A line of the journal about recipient 0.
pub(crate) fn line(outcome: JournalOutcome, reply: &str) -> JournalEntry {
    JournalEntry {
        recipients: vec![0],
        outcome,
        status: EnhancedStatus::new(2, 0, 0),
        reply: reply.to_owned(),
        source_address: Some([192, 0, 2, 7].into()),
        host: Some("mx.example.com".to_owned()),
        host_address: Some([192, 0, 2, 25].into()),
        tls: Some("TLSv1.3".to_owned()),
        duration: Duration::from_millis(12),
    }
}

pub(crate) fn is_fenced(completed: &Completed) -> bool {
    matches!(completed, Completed::Fenced)
}

pub(crate) async fn value<T>(connection: &mut PgConnection, sql: &str) -> T
where
    (T,): for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let (value,) = sqlx::query_as(AssertSqlSafe(sql.to_owned()))
        .fetch_one(connection)
        .await
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
    value
}

pub(crate) async fn execute(connection: &mut PgConnection, sql: &str) {
    let done = connection.execute(AssertSqlSafe(sql.to_owned())).await;
    done.unwrap_or_else(|error| panic!("{error}: {sql}"));
}

/// Waits until so many sessions of the queue wait for a lock.
pub(crate) async fn wait_for_blocked(connection: &mut PgConnection, sessions: i64) {
    testkit::wait_until("sessions to wait for a lock", async || {
        // What a transaction sees of others' activity stays as it was.
        execute(connection, "SELECT pg_stat_clear_snapshot()").await;
        let blocked: i64 = value(
            connection,
            "SELECT count(*) FROM pg_stat_activity
             WHERE wait_event_type = 'Lock' AND datname = current_database()",
        )
        .await;
        blocked == sessions
    })
    .await;
}
