//! What is counted of attempts. Labels are few and known beforehand.

use std::sync::LazyLock;
use std::time::Duration;

use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, global};

use super::fate::{End, Fate};
use super::route::NextHop;

/// Bounds of an attempt's duration, in seconds: from a mailbox of ours to a slow far end's longest
/// patience (RFC 5321 §4.5.3.2).
const SECONDS: [f64; 14] = [
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 600.0,
];

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

struct Metrics {
    duration: Histogram<f64>,
    tls: Counter<u64>,
}

impl Metrics {
    fn new() -> Self {
        let meter = global::meter("chasqui");
        let metrics = Self {
            duration: meter
                .f64_histogram("chasqui_attempt_duration_seconds")
                .with_description("Time from the lease of a unit to the last word on it")
                .with_boundaries(SECONDS.to_vec())
                .build(),
            tls: meter
                .u64_counter("chasqui_attempts_tls")
                .with_description("Attempts that reached a remote host, by TLS version")
                .build(),
        };
        // A rate is known only of what was seen before it rose.
        for version in [NONE, TLS12, TLS13] {
            metrics.tls.add(0, &[KeyValue::new("version", version)]);
        }
        metrics
    }
}

const NONE: &str = "none";
const TLS12: &str = "TLSv1.2";
const TLS13: &str = "TLSv1.3";

/// To be called at the start, so that what has not happened yet is told as well.
pub(crate) fn begin() {
    LazyLock::force(&METRICS);
}

/// An attempt at a unit ended.
pub(crate) fn attempted(next_hop: &NextHop, fates: &[Fate], took: Duration) {
    let labels = [
        KeyValue::new("via", via(next_hop)),
        KeyValue::new("outcome", outcome(fates)),
    ];
    METRICS.duration.record(took.as_secs_f64(), &labels);
    let tls = fates.iter().find_map(|fate| fate.far_end.tls.as_deref());
    if let Some(tls) = tls {
        METRICS
            .tls
            .add(1, &[KeyValue::new("version", version(tls))]);
    }
}

fn via(next_hop: &NextHop) -> &'static str {
    match next_hop {
        NextHop::Local => "local",
        NextHop::Mx(_) => "mx",
        NextHop::SmartHost(_) => "smart_host",
        NextHop::Hold | NextHop::Discard | NextHop::Unknown => "none",
    }
}

/// What is worth most attention: what failed for good, else what must be tried again.
fn outcome(fates: &[Fate]) -> &'static str {
    let seen = |end| fates.iter().any(|fate| fate.end == end);
    let worst = [End::Expired, End::Failed, End::Deferred];
    worst
        .into_iter()
        .find(|end| seen(*end))
        .unwrap_or(End::Delivered)
        .as_str()
}

fn version(tls: &str) -> &'static str {
    match tls.split(' ').next() {
        Some(NONE) => NONE,
        Some(TLS13) => TLS13,
        Some(TLS12) => TLS12,
        _ => "other",
    }
}
