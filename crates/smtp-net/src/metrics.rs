//! What is counted of connections. Labels are few and known beforehand.

use std::io;
use std::sync::LazyLock;

use opentelemetry::metrics::{Counter, UpDownCounter};
use opentelemetry::{KeyValue, global};

use crate::admission::Refusal;
use crate::{ReloadingTls, TlsInfo};

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

struct Metrics {
    connections: Counter<u64>,
    sessions: UpDownCounter<i64>,
    handshakes: Counter<u64>,
}

impl Metrics {
    fn new() -> Self {
        let meter = global::meter("chasqui");
        let metrics = Self {
            connections: meter
                .u64_counter("chasqui_connections")
                .with_description("Connections of clients, by whether they were taken")
                .build(),
            sessions: meter
                .i64_up_down_counter("chasqui_sessions")
                .with_description("Sessions with clients that are open now")
                .build(),
            handshakes: meter
                .u64_counter("chasqui_tls_handshakes")
                .with_description("TLS handshakes, by our side in them and the version agreed on")
                .build(),
        };
        metrics.begin_at_zero();
        metrics
    }

    /// A rate is known only of what was seen before it rose.
    fn begin_at_zero(&self) {
        for result in [TAKEN, FULL, TOO_MANY_FROM_ADDRESS] {
            self.connections.add(0, &[KeyValue::new("result", result)]);
        }
        self.sessions.add(0, &[]);
        self.handshakes.add(0, &handshake_labels("server", FAILED));
    }
}

/// To be called where clients are waited for, so that what has not happened yet is told as well.
pub(crate) fn begin() {
    LazyLock::force(&METRICS);
}

/// Tells from now on until when the certificate is good. `rpc` has the same instrument for its own:
/// name and description must be alike.
pub(crate) fn observe(tls: &ReloadingTls) {
    let tls = tls.downgrade();
    global::meter("chasqui")
        .i64_observable_gauge("chasqui_certificate_expires_timestamp_seconds")
        .with_description("When the certificate that others are shown expires, in Unix time")
        .with_callback(move |gauge| {
            if let Some(expires) = tls.upgrade().and_then(|tls| tls.expires()) {
                gauge.observe(expires, &[KeyValue::new("of", "smtp")]);
            }
        })
        .build();
}

const TAKEN: &str = "taken";
const FULL: &str = "full";
const TOO_MANY_FROM_ADDRESS: &str = "too_many_from_address";
const FAILED: &str = "failed";

fn handshake_labels(side: &'static str, version: &'static str) -> [KeyValue; 2] {
    [
        KeyValue::new("side", side),
        KeyValue::new("version", version),
    ]
}

pub(crate) fn taken() {
    let labels = [KeyValue::new("result", TAKEN)];
    METRICS.connections.add(1, &labels);
    METRICS.sessions.add(1, &[]);
}

pub(crate) fn left() {
    METRICS.sessions.add(-1, &[]);
}

pub(crate) fn turned_away(refusal: Refusal) {
    let result = match refusal {
        Refusal::Full => FULL,
        Refusal::TooManyFromAddress => TOO_MANY_FROM_ADDRESS,
    };
    let labels = [KeyValue::new("result", result)];
    METRICS.connections.add(1, &labels);
}

/// A handshake ended, in which we were `side`: `server` or `client`.
pub(crate) fn shaken(side: &'static str, result: &io::Result<TlsInfo>) {
    let version = match result {
        Ok(info) => info.version,
        Err(_) => FAILED,
    };
    METRICS.handshakes.add(1, &handshake_labels(side, version));
}
