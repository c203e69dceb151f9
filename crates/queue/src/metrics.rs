//! What is counted here. Labels are few and known beforehand.

use std::sync::LazyLock;
use std::time::Duration;

use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, global};
use sqlx::PgPool;

use crate::fault::Fault;

/// Bounds of a commit's duration, in seconds.
const SECONDS: [f64; 12] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0,
];
/// Bounds of a batch's size.
const ITEMS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

struct Metrics {
    commit_seconds: Histogram<f64>,
    commit_items: Histogram<u64>,
    commit_failures: Counter<u64>,
    claimed: Counter<u64>,
    reclaimed: Counter<u64>,
    fenced: Counter<u64>,
    pronounced_dead: Counter<u64>,
}

/// What is committed.
pub(crate) const ENQUEUE: &str = "enqueue";
pub(crate) const COMPLETE: &str = "complete";

const FAULTS: [Fault; 6] = [
    Fault::Data,
    Fault::Collision,
    Fault::DiskFull,
    Fault::Unknown,
    Fault::Unavailable,
    Fault::Statement,
];

impl Metrics {
    fn new() -> Self {
        let meter = global::meter("chasqui");
        let counter = |name, description| {
            let counter = meter.u64_counter(name);
            counter.with_description(description).build()
        };
        let metrics = Self {
            commit_seconds: meter
                .f64_histogram("chasqui_commit_duration_seconds")
                .with_description("Time from sending a batch to the database to its COMMIT")
                .with_boundaries(SECONDS.to_vec())
                .build(),
            commit_items: meter
                .u64_histogram("chasqui_commit_batch_items")
                .with_description("Messages or completions that shared a COMMIT")
                .with_boundaries(ITEMS.to_vec())
                .build(),
            commit_failures: counter(
                "chasqui_commit_failures",
                "Batches that were not committed, by the kind of fault",
            ),
            claimed: counter("chasqui_leases_claimed", "Units leased from the queue"),
            reclaimed: counter(
                "chasqui_leases_reclaimed",
                "Units taken back from relays that died",
            ),
            fenced: counter(
                "chasqui_leases_fenced",
                "Attempts that ended after their lease was lost: possible duplicates",
            ),
            pronounced_dead: counter(
                "chasqui_relays_pronounced_dead",
                "Relays that this one has pronounced dead",
            ),
        };
        metrics.begin_at_zero();
        metrics
    }

    /// A rate is known only of what was seen before it rose.
    fn begin_at_zero(&self) {
        let counters = [
            &self.claimed,
            &self.reclaimed,
            &self.fenced,
            &self.pronounced_dead,
        ];
        counters.iter().for_each(|counter| counter.add(0, &[]));
        for work in [ENQUEUE, COMPLETE] {
            for fault in FAULTS {
                self.commit_failures.add(0, &failure_labels(work, fault));
            }
        }
    }
}

fn failure_labels(work: &'static str, fault: Fault) -> [KeyValue; 2] {
    let fault = match fault {
        Fault::Data => "data",
        Fault::Collision => "collision",
        Fault::DiskFull => "disk_full",
        Fault::Unknown => "unknown",
        Fault::Unavailable => "unavailable",
        Fault::Statement => "statement",
    };
    [KeyValue::new("work", work), KeyValue::new("fault", fault)]
}

/// A batch of `work` was committed.
pub(crate) fn committed(work: &'static str, items: usize, took: Duration) {
    let labels = [KeyValue::new("work", work)];
    METRICS.commit_seconds.record(took.as_secs_f64(), &labels);
    METRICS.commit_items.record(items as u64, &labels);
}

/// A batch of `work` was not, or perhaps not.
pub(crate) fn not_committed(work: &'static str, fault: Fault) {
    METRICS.commit_failures.add(1, &failure_labels(work, fault));
}

pub(crate) fn claimed(units: usize) {
    METRICS.claimed.add(units as u64, &[]);
}

pub(crate) fn reclaimed(units: u64) {
    METRICS.reclaimed.add(units, &[]);
}

pub(crate) fn fenced() {
    METRICS.fenced.add(1, &[]);
}

pub(crate) fn pronounced_dead() {
    METRICS.pronounced_dead.add(1, &[]);
}

/// Tells from now on how busy the pool is. Without a collector of metrics this keeps nothing.
pub(crate) fn observe(pool: &PgPool) {
    LazyLock::force(&METRICS);
    let pool = pool.clone();
    global::meter("chasqui")
        .u64_observable_gauge("chasqui_database_connections")
        .with_description("Connections to the queue's database in the pool, by what they do")
        .with_callback(move |gauge| {
            let idle = pool.num_idle() as u64;
            let busy = u64::from(pool.size()).saturating_sub(idle);
            gauge.observe(idle, &[KeyValue::new("state", "idle")]);
            gauge.observe(busy, &[KeyValue::new("state", "in_use")]);
        })
        .build();
}
