//! The events of `message_log`, counted.

use std::sync::LazyLock;

use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};

static COUNTS: LazyLock<Counts> = LazyLock::new(Counts::new);

struct Counts {
    accepted: Counter<u64>,
    accepted_octets: Counter<u64>,
    delivered: Counter<u64>,
    deferred: Counter<u64>,
    bounced: Counter<u64>,
    expired: Counter<u64>,
    held: Counter<u64>,
    discarded: Counter<u64>,
    rejected: Counter<u64>,
}

impl Counts {
    fn new() -> Self {
        let meter = global::meter("chasqui");
        let counter = |name, description| {
            let counter = meter.u64_counter(name);
            counter.with_description(description).build()
        };
        let counts = Self {
            accepted: counter(
                "chasqui_messages_accepted",
                "Messages that were acknowledged or written by ourselves, by who accepted them",
            ),
            accepted_octets: counter(
                "chasqui_messages_accepted_octets",
                "Octets of content of accepted messages",
            ),
            delivered: counter(
                "chasqui_recipients_delivered",
                "Recipients that a next hop has taken responsibility for",
            ),
            deferred: counter(
                "chasqui_recipients_deferred",
                "Attempts at a recipient that will be repeated, by subject of their enhanced status",
            ),
            bounced: counter(
                "chasqui_recipients_bounced",
                "Recipients that failed for good, by subject of their enhanced status",
            ),
            expired: counter(
                "chasqui_recipients_expired",
                "Recipients that were tried for too long",
            ),
            held: counter(
                "chasqui_recipients_held",
                "Recipients whose mail a route keeps until it is released",
            ),
            discarded: counter(
                "chasqui_recipients_discarded",
                "Recipients whose mail a route threw away",
            ),
            rejected: counter(
                "chasqui_recipients_rejected",
                "Recipients refused to a client that keeps the message, by subject of their enhanced status",
            ),
        };
        counts.begin_at_zero();
        counts
    }

    /// A rate is known only of what was seen before it rose.
    fn begin_at_zero(&self) {
        for counter in [&self.delivered, &self.expired, &self.held, &self.discarded] {
            counter.add(0, &[]);
        }
        for class in CLASSES {
            let labels = [KeyValue::new("class", class)];
            self.deferred.add(0, &labels);
            self.bounced.add(0, &labels);
            self.rejected.add(0, &labels);
        }
    }
}

/// To be called at the start, so that what has not happened yet is told as well.
pub(super) fn begin() {
    LazyLock::force(&COUNTS);
}

pub(crate) fn accepted(service: &str, octets: u64) {
    let labels = [KeyValue::new("service", service_label(service))];
    COUNTS.accepted.add(1, &labels);
    COUNTS.accepted_octets.add(octets, &labels);
}

pub(crate) fn delivered() {
    COUNTS.delivered.add(1, &[]);
}

pub(crate) fn deferred(status: &str) {
    let labels = [KeyValue::new("class", class(status))];
    COUNTS.deferred.add(1, &labels);
}

pub(crate) fn bounced(status: &str) {
    let labels = [KeyValue::new("class", class(status))];
    COUNTS.bounced.add(1, &labels);
}

pub(crate) fn expired() {
    COUNTS.expired.add(1, &[]);
}

pub(crate) fn held() {
    COUNTS.held.add(1, &[]);
}

pub(crate) fn discarded() {
    COUNTS.discarded.add(1, &[]);
}

pub(crate) fn rejected(status: &str) {
    let labels = [KeyValue::new("class", class(status))];
    COUNTS.rejected.add(1, &labels);
}

/// As few labels as there are services, whatever is passed.
fn service_label(service: &str) -> &'static str {
    match service {
        "submission" => "submission",
        "inbound" => "inbound",
        "outbound" => "outbound",
        "delivery" => "delivery",
        _ => "other",
    }
}

/// The subjects of an enhanced status, `5.SUBJECT.DETAIL`, by their number (RFC 3463 §3).
const CLASSES: [&str; 8] = [
    "other", "address", "mailbox", "system", "network", "protocol", "content", "policy",
];

fn class(status: &str) -> &'static str {
    let subject = status.split('.').nth(1).and_then(|n| n.parse().ok());
    let class = subject.and_then(|subject: usize| CLASSES.get(subject));
    class.copied().unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_a_subject_and_strange_ones_are_other() {
        assert_eq!(class("5.1.1"), "address");
        assert_eq!(class("4.7.0"), "policy");
        assert_eq!(class("5.0.0"), "other");
        assert_eq!(class("nonsense"), "other");
    }
}
