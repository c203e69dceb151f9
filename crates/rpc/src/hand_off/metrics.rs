//! What both ends of the hand-off tell about themselves. They keep count anyway; here they are read.

use std::sync::{Arc, Weak};

use opentelemetry::{KeyValue, global};

use super::producer::{HandOff, Inner};
use super::relay::{Relay, RelayHandOff};

/// Tells from now on what became of a producer's mail, as long as it lives.
pub(super) fn observe_producer(producer: &HandOff) {
    let inner: Weak<Inner> = Arc::downgrade(&producer.inner);
    let statistics = move || {
        let inner = inner.upgrade()?;
        Some(HandOff { inner }.statistics())
    };
    let units = statistics.clone();
    let meter = global::meter("chasqui");
    meter
        .u64_observable_counter("chasqui_hand_off_units")
        .with_description("Units leased to a relay as they were committed, by what came of it")
        .with_callback(move |counter| {
            if let Some(statistics) = units() {
                let result = |result| [KeyValue::new("result", result)];
                counter.observe(statistics.handed_off, &result("handed_off"));
                counter.observe(statistics.dropped, &result("dropped"));
            }
        })
        .build();
    meter
        .u64_observable_counter("chasqui_hand_off_refused")
        .with_description("Messages for which no relay had credit: polls find them")
        .with_callback(move |counter| {
            if let Some(statistics) = statistics() {
                counter.observe(statistics.refused, &[]);
            }
        })
        .build();
}

/// Tells from now on what a relay has at hand and room for, as long as it lives.
pub(super) fn observe_relay(relay: &RelayHandOff) {
    let relay: Weak<Relay> = Arc::downgrade(relay.relay());
    let units = relay.clone();
    let meter = global::meter("chasqui");
    meter
        .u64_observable_gauge("chasqui_hand_off_held_units")
        .with_description("Units handed off to this relay that it has at hand")
        .with_callback(move |gauge| {
            if let Some(relay) = units.upgrade() {
                gauge.observe(relay.pool.held().units, &[]);
            }
        })
        .build();
    let octets = relay.clone();
    meter
        .u64_observable_gauge("chasqui_hand_off_held_octets")
        .with_description("Octets of content of the units at hand")
        .with_callback(move |gauge| {
            if let Some(relay) = octets.upgrade() {
                gauge.observe(relay.pool.held().bytes, &[]);
            }
        })
        .build();
    meter
        .u64_observable_gauge("chasqui_hand_off_free_units")
        .with_description("Units of room at this relay for which no producer has credit yet")
        .with_callback(move |gauge| {
            if let Some(relay) = relay.upgrade() {
                gauge.observe(relay.pool.free().units, &[]);
            }
        })
        .build();
}
