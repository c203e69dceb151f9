//! What is counted of connections. Labels are few and known beforehand.

use std::io;
use std::sync::LazyLock;

use opentelemetry::metrics::{Counter, UpDownCounter};
use opentelemetry::{KeyValue, global};

use crate::TlsInfo;
use crate::admission::Refusal;

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

struct Metrics {
    connections: Counter<u64>,
    sessions: UpDownCounter<i64>,
    handshakes: Counter<u64>,
}

impl Metrics {
    fn new() -> Self {
        let meter = global::meter("chasqui");
        Self {
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
        }
    }
}

pub(crate) fn taken() {
    let labels = [KeyValue::new("result", "taken")];
    METRICS.connections.add(1, &labels);
    METRICS.sessions.add(1, &[]);
}

pub(crate) fn left() {
    METRICS.sessions.add(-1, &[]);
}

pub(crate) fn turned_away(refusal: Refusal) {
    let result = match refusal {
        Refusal::Full => "full",
        Refusal::TooManyFromAddress => "too_many_from_address",
    };
    let labels = [KeyValue::new("result", result)];
    METRICS.connections.add(1, &labels);
}

/// A handshake ended, in which we were `side`: `server` or `client`.
pub(crate) fn shaken(side: &'static str, result: &io::Result<TlsInfo>) {
    let version = match result {
        Ok(info) => info.version,
        Err(_) => "failed",
    };
    let labels = [
        KeyValue::new("side", side),
        KeyValue::new("version", version),
    ];
    METRICS.handshakes.add(1, &labels);
}
