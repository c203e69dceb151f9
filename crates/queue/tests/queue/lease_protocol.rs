//! The lease protocol as a state machine: producers, two relays and a real Postgres; relays pause,
//! die and come back as zombies, hand-offs get lost, commits come late, the database goes away.
//!
//! Whatever happens: nothing is stranded, nothing is completed twice, the ledger balances, and
//! nobody is pronounced dead whose heart was beating.

use std::cell::Cell;
use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use queue::{
    Completed, Completion, Filter, IncarnationId, LeasedUnit, NewMessage, Observer, ObserverConfig,
    Origin, QueueId, Rest, Service, Settlement, UnitId,
};
use smtp::{EnhancedStatus, ReversePath};
use time::OffsetDateTime;

use crate::support::{Fixture, RELEASE, Relay, execute, message, settle_all};

/// On the virtual clock.
const TTL: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(1);
/// A message to three units, one of them with two recipients.
const RECIPIENTS: [&str; 4] = [
    "a@one.example",
    "b@two.example",
    "c@two.example",
    "d@three.example",
];

/// What may happen. `usize`s choose a relay, or one of the units that it holds.
#[derive(Clone, Debug)]
enum Operation {
    EnqueueUnleased(usize),
    EnqueueLeased(usize, usize),
    /// Leased, but the relay never hears of it.
    LoseHandOff(usize),
    /// Leased to an incarnation that is dead by then.
    CommitLate,
    Claim(usize),
    ClaimSuspect(usize),
    Deliver(usize, usize),
    DeliverSome(usize, usize),
    Defer(usize, usize),
    Fail(usize, usize),
    GiveBack(usize, usize),
    Adopt(usize),
    Reclaim,
    Promote(usize),
    Hold,
    Release,
    /// Stopped, as by SIGSTOP; goes on with what it holds.
    Pause(usize),
    Resume(usize),
    /// Stopped for longer than the TTL while the other goes on and takes over; then resumed.
    Oversleep(usize),
    Kill(usize),
    /// Something that was begun by a relay that is dead by now is reported.
    ReportLate(usize),
    /// Time goes by.
    Pass(u64),
    /// Time goes by, and nobody gets through to the database.
    Outage(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let relay = 0..2_usize;
    let unit = 0..8_usize;
    let held = (relay.clone(), unit);
    prop_oneof![
        2 => (1..=4_usize).prop_map(Operation::EnqueueUnleased),
        4 => (relay.clone(), 1..=4_usize).prop_map(|(r, n)| Operation::EnqueueLeased(r, n)),
        2 => relay.clone().prop_map(Operation::LoseHandOff),
        1 => Just(Operation::CommitLate),
        4 => relay.clone().prop_map(Operation::Claim),
        1 => relay.clone().prop_map(Operation::ClaimSuspect),
        6 => held.clone().prop_map(|(r, u)| Operation::Deliver(r, u)),
        2 => held.clone().prop_map(|(r, u)| Operation::DeliverSome(r, u)),
        2 => held.clone().prop_map(|(r, u)| Operation::Defer(r, u)),
        2 => held.clone().prop_map(|(r, u)| Operation::Fail(r, u)),
        1 => held.prop_map(|(r, u)| Operation::GiveBack(r, u)),
        2 => relay.clone().prop_map(Operation::Adopt),
        3 => Just(Operation::Reclaim),
        2 => relay.clone().prop_map(Operation::Promote),
        1 => Just(Operation::Hold),
        1 => Just(Operation::Release),
        2 => relay.clone().prop_map(Operation::Pause),
        2 => relay.clone().prop_map(Operation::Resume),
        3 => relay.clone().prop_map(Operation::Oversleep),
        2 => relay.prop_map(Operation::Kill),
        3 => (0..8_usize).prop_map(Operation::ReportLate),
        4 => (1..14_u64).prop_map(Operation::Pass),
        1 => (1..40_u64).prop_map(Operation::Outage),
    ]
}

#[test]
fn nothing_is_stranded_and_nothing_is_completed_twice() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fixture = runtime.block_on(Fixture::new());
    let config = Config {
        cases: 12,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let operations = proptest::collection::vec(operation(), 20..80);
    let outdated = Cell::new(0);
    TestRunner::new(config)
        .run(&operations, |operations| {
            runtime.block_on(async {
                let mut world = World::new(&fixture).await;
                for operation in &operations {
                    world.perform(operation).await;
                }
                outdated.set(outdated.get() + world.outdated);
                world.drain().await;
            });
            Ok(())
        })
        .unwrap();
    // Else the operations would be too tame to show anything.
    assert!(
        outdated.get() > 0,
        "no zombie reported on what others had been given"
    );
}

/// A relay as the protocol sees it.
struct SimulatedRelay {
    relay: Relay,
    holds: Vec<LeasedUnit>,
    observer: Observer,
    paused: bool,
    /// When its heart beat last.
    beat: Duration,
}

impl SimulatedRelay {
    async fn start(fixture: &Fixture, now: Duration) -> Self {
        Self {
            relay: fixture.relay().await,
            holds: Vec::new(),
            observer: Observer::new(ObserverConfig {
                ttl: TTL,
                longest_gap: INTERVAL * 3,
            }),
            paused: false,
            beat: now,
        }
    }

    fn take(&mut self, which: usize) -> Option<LeasedUnit> {
        (!self.holds.is_empty()).then(|| self.holds.remove(which % self.holds.len()))
    }
}

struct World<'a> {
    fixture: &'a Fixture,
    relays: [SimulatedRelay; 2],
    /// Leases of relays that are dead; some day they are reported all the same.
    zombies: Vec<LeasedUnit>,
    dead: Option<IncarnationId>,
    now: Duration,
    /// How often each accepted recipient was settled.
    settled: HashMap<(QueueId, i32), u32>,
    /// The last attempt that each unit was leased for.
    leased: HashMap<UnitId, i32>,
    /// Reports on units that somebody else had been given meanwhile.
    outdated: u32,
}

impl<'a> World<'a> {
    async fn new(fixture: &'a Fixture) -> Self {
        let mut connection = fixture.database.connect().await;
        for table in [
            "message",
            "content",
            "unit",
            "ledger",
            "ledger_delta",
            "incarnation",
        ] {
            execute(&mut connection, &format!("DELETE FROM queue.{table}")).await;
        }
        let now = Duration::ZERO;
        Self {
            fixture,
            relays: [
                SimulatedRelay::start(fixture, now).await,
                SimulatedRelay::start(fixture, now).await,
            ],
            zombies: Vec::new(),
            dead: None,
            now,
            settled: HashMap::new(),
            leased: HashMap::new(),
            outdated: 0,
        }
    }

    async fn perform(&mut self, operation: &Operation) {
        match *operation {
            Operation::EnqueueUnleased(recipients) => {
                self.enqueue(recipients, None).await;
            }
            Operation::EnqueueLeased(relay, recipients) => {
                let holder = self.relays[relay].relay.id;
                let units = self.enqueue(recipients, Some(holder)).await;
                self.hold(relay, units);
            }
            Operation::LoseHandOff(relay) => {
                let holder = self.relays[relay].relay.id;
                self.enqueue(2, Some(holder)).await;
            }
            Operation::CommitLate => {
                if let Some(dead) = self.dead {
                    self.enqueue(2, Some(dead)).await;
                }
            }
            Operation::Reclaim => {
                self.fixture.queue.reclaim(3).await.unwrap();
            }
            Operation::Hold => {
                let all = Filter::default();
                self.fixture
                    .queue
                    .hold(&all, "test", None, 5)
                    .await
                    .unwrap();
            }
            Operation::Release => self.release_all().await,
            Operation::Pause(relay) => self.relays[relay].paused = true,
            Operation::Resume(relay) => self.relays[relay].paused = false,
            Operation::Oversleep(relay) => self.oversleep(relay).await,
            Operation::Kill(relay) => self.kill(relay).await,
            Operation::ReportLate(which) => {
                if !self.zombies.is_empty() {
                    let unit = self.zombies.remove(which % self.zombies.len());
                    let everybody = settle_all(&unit, Settlement::Delivered);
                    self.end(unit, everybody, RELEASE, Vec::new()).await;
                }
            }
            Operation::Pass(seconds) => self.pass(seconds).await,
            Operation::Outage(seconds) => {
                self.now += INTERVAL * u32::try_from(seconds).unwrap();
                for relay in &mut self.relays {
                    relay.observer.disturbed();
                }
            }
            Operation::Claim(relay)
            | Operation::ClaimSuspect(relay)
            | Operation::Adopt(relay)
            | Operation::Promote(relay)
            | Operation::Deliver(relay, _)
            | Operation::DeliverSome(relay, _)
            | Operation::Defer(relay, _)
            | Operation::Fail(relay, _)
            | Operation::GiveBack(relay, _) => {
                if !self.relays[relay].paused {
                    self.act(relay, operation).await;
                }
            }
        }
    }

    /// What a relay does that runs.
    async fn act(&mut self, relay: usize, operation: &Operation) {
        let acting = &mut self.relays[relay];
        match *operation {
            Operation::Claim(_) => {
                let units = acting.relay.claim_up_to(2).await;
                self.hold(relay, units);
            }
            Operation::ClaimSuspect(_) => {
                let suspect = acting.relay.claimer.claim_suspect().await.unwrap();
                self.hold(relay, suspect);
            }
            Operation::Adopt(_) => {
                let known: Vec<UnitId> = acting.holds.iter().map(|unit| unit.lease.unit).collect();
                let knows = |unit: &UnitId| known.contains(unit);
                let adopted = acting
                    .relay
                    .claimer
                    .adopt(Duration::ZERO, knows)
                    .await
                    .unwrap();
                self.hold(relay, adopted);
            }
            Operation::Promote(_) => {
                acting.relay.promote().await;
            }
            Operation::GiveBack(_, which) => {
                if let Some(unit) = acting.take(which) {
                    acting.relay.claimer.give_back([unit.lease]).await.unwrap();
                }
            }
            Operation::Deliver(_, which) => {
                if let Some(unit) = acting.take(which) {
                    let everybody = settle_all(&unit, Settlement::Delivered);
                    self.end(unit, everybody, RELEASE, Vec::new()).await;
                }
            }
            Operation::DeliverSome(_, which) => {
                if let Some(unit) = acting.take(which) {
                    let first = vec![(unit.recipients[0].number, Settlement::Delivered)];
                    self.end(unit, first, defer(), Vec::new()).await;
                }
            }
            Operation::Defer(_, which) => {
                if let Some(unit) = acting.take(which) {
                    self.end(unit, Vec::new(), defer(), Vec::new()).await;
                }
            }
            Operation::Fail(_, which) => {
                if let Some(unit) = acting.take(which) {
                    let everybody = settle_all(&unit, Settlement::Failed);
                    let report = report(&unit);
                    let reports = self.end(unit, everybody, RELEASE, vec![report]).await;
                    self.hold(relay, reports);
                }
            }
            _ => unreachable!("not a relay's doing"),
        }
    }

    async fn enqueue(
        &mut self,
        recipients: usize,
        lease_to: Option<IncarnationId>,
    ) -> Vec<LeasedUnit> {
        let message = NewMessage {
            lease_to,
            ..self.fixture.message(&RECIPIENTS[..recipients])
        };
        self.accepted(message.id, recipients);
        self.fixture.enqueuer.enqueue(message).await.unwrap().units
    }

    /// A relay gets leases, each for an attempt that nobody made before.
    fn hold(&mut self, relay: usize, units: impl IntoIterator<Item = LeasedUnit>) {
        for unit in units {
            self.leased(&unit);
            self.relays[relay].holds.push(unit);
        }
    }

    fn leased(&mut self, unit: &LeasedUnit) {
        let before = self.leased.insert(unit.lease.unit, unit.lease.attempt);
        assert!(
            before.is_none_or(|before| before < unit.lease.attempt),
            "leased twice: {unit:?}"
        );
    }

    fn accepted(&mut self, id: QueueId, recipients: usize) {
        for number in (0..).take(recipients) {
            self.settled.insert((id, number), 0);
        }
    }

    /// Reports the end of an attempt; counts what is settled, and what is accepted with it.
    async fn end(
        &mut self,
        unit: LeasedUnit,
        settled: Vec<(i32, Settlement)>,
        rest: Rest,
        reports: Vec<NewMessage>,
    ) -> Vec<LeasedUnit> {
        let lease = unit.lease;
        let id = lease.unit.queue_id;
        let null = unit.reverse_path.is_null();
        let report_ids: Vec<QueueId> = reports.iter().map(|report| report.id).collect();
        let end = Completion::new(unit, settled.iter().copied(), rest).notifying(reports);
        let Completed::Done { notifications } = self.fixture.complete(end).await else {
            let last = self.leased.get(&lease.unit);
            self.outdated += u32::from(last.is_some_and(|last| *last > lease.attempt));
            return Vec::new();
        };
        assert_eq!(
            self.leased.get(&lease.unit),
            Some(&lease.attempt),
            "a zombie was believed"
        );
        for (number, _) in settled {
            let times = self.settled.get_mut(&(id, number)).expect("was accepted");
            *times += 1;
            assert_eq!(*times, 1, "{id} recipient {number} was settled twice");
        }
        if !null {
            for id in report_ids {
                self.accepted(id, 1);
            }
        }
        notifications
    }

    /// Every heart that beats, beats, and looks at the others.
    async fn beat_all(&mut self) {
        let mut connection = self.fixture.database.connect().await;
        for relay in 0..self.relays.len() {
            if self.relays[relay].paused {
                continue;
            }
            let own = self.relays[relay].relay.id;
            let beat = sqlx::query(
                "UPDATE queue.incarnation SET heartbeat = heartbeat + 1
                 WHERE id = $1 AND fenced_at IS NULL",
            );
            let beat = beat.bind(own.0).execute(&mut connection).await.unwrap();
            if beat.rows_affected() == 0 {
                // It was paused too long: it abandons all, and starts anew.
                self.kill(relay).await;
                continue;
            }
            let others: Vec<(i64, i64)> =
                sqlx::query_as("SELECT id, heartbeat FROM queue.live_incarnation WHERE id <> $1")
                    .bind(own.0)
                    .fetch_all(&mut connection)
                    .await
                    .unwrap();
            let now = self.now;
            self.relays[relay].beat = now;
            let others = others
                .into_iter()
                .map(|(id, beat)| (IncarnationId(id), beat));
            for stopped in self.relays[relay].observer.observe(now, others) {
                self.pronounce(stopped.incarnation, stopped.heartbeat).await;
            }
        }
    }

    async fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += INTERVAL;
            self.beat_all().await;
        }
    }

    async fn oversleep(&mut self, relay: usize) {
        self.relays[relay].paused = true;
        self.pass(TTL.as_secs() + 2).await;
        self.fixture.queue.reclaim(100).await.unwrap();
        let other = 1 - relay;
        if !self.relays[other].paused {
            self.act(other, &Operation::Claim(other)).await;
        }
        self.relays[relay].paused = false;
    }

    async fn pronounce(&mut self, incarnation: IncarnationId, heartbeat: i64) {
        for other in &self.relays {
            if other.relay.id == incarnation {
                assert!(
                    self.now - other.beat >= TTL,
                    "pronounced dead while its heart was beating"
                );
            }
        }
        let mut connection = self.fixture.database.connect().await;
        sqlx::query(
            "UPDATE queue.incarnation SET fenced_at = now() WHERE id = $1 AND heartbeat = $2",
        )
        .bind(incarnation.0)
        .bind(heartbeat)
        .execute(&mut connection)
        .await
        .unwrap();
        self.dead = Some(incarnation);
    }

    async fn kill(&mut self, relay: usize) {
        let successor = SimulatedRelay::start(self.fixture, self.now).await;
        let dead = std::mem::replace(&mut self.relays[relay], successor);
        self.zombies.extend(dead.holds);
    }

    async fn release_all(&self) {
        let all = Filter::default();
        self.fixture
            .queue
            .release(&all, None, 10_000)
            .await
            .unwrap();
    }

    /// All relays die at once; a new one delivers what they left, and then the zombies report.
    async fn drain(&mut self) {
        for relay in 0..self.relays.len() {
            self.kill(relay).await;
        }
        self.pass(30).await;
        for _ in 0..500 {
            self.fixture.queue.reclaim(100).await.unwrap();
            self.release_all().await;
            self.relays[0].relay.promote().await;
            let mut units = self.relays[0].relay.claim().await;
            units.extend(self.relays[0].relay.claimer.claim_suspect().await.unwrap());
            for unit in units {
                self.leased(&unit);
                let everybody = settle_all(&unit, Settlement::Delivered);
                self.end(unit, everybody, RELEASE, Vec::new()).await;
            }
            let left: i64 = self.fixture.value("SELECT count(*) FROM queue.unit").await;
            if left == 0 {
                break;
            }
        }
        for unit in std::mem::take(&mut self.zombies) {
            let everybody = settle_all(&unit, Settlement::Delivered);
            self.end(unit, everybody, RELEASE, Vec::new()).await;
        }
        for (recipient, times) in &self.settled {
            assert_eq!(*times, 1, "{recipient:?} was stranded");
        }
        self.fixture.assert_empty().await;
    }
}

/// To be tried again at once.
fn defer() -> Rest {
    Rest::Defer {
        due_at: OffsetDateTime::now_utc(),
        status: EnhancedStatus::new(4, 0, 0),
        reply: "451 later".to_owned(),
    }
}

fn report(unit: &LeasedUnit) -> NewMessage {
    let id = QueueId::generate(unit.lease.unit.queue_id.shard());
    NewMessage {
        reverse_path: ReversePath::Null,
        origin: Origin::own(Service::Outbound),
        lease_to: Some(unit.lease.holder),
        ..message(id, &["sender@example.org"])
    }
}
