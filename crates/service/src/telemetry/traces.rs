//! The spans of a message's life: its acceptance, each attempt, and delivery's part in it.
//!
//! The acceptance begins a trace, and its context is stored with the message. An attempt, which may
//! come days later, is a trace of its own with a *link* to the acceptance; it is sampled exactly
//! when the acceptance was. Spans name a message by its queue id, and nobody by an address.

use std::fmt::Display;

use opentelemetry::global::{self, BoxedSpan};
use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags,
    TraceId, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use queue::TraceParent;

use crate::privacy;

/// A span that ends when it is told to, or dropped.
#[derive(Debug)]
pub struct Span(BoxedSpan);

impl Span {
    /// A message is being accepted by `service`: the root of a trace.
    #[must_use]
    pub fn acceptance(service: &'static str) -> Self {
        let tracer = global::tracer("chasqui");
        let builder = tracer.span_builder("accept").with_kind(SpanKind::Producer);
        let mut span = Self(tracer.build_with_context(builder, &Context::new()));
        span.note("chasqui.service", &service);
        span
    }

    /// An attempt at a message that was accepted in the trace `accepted`.
    #[must_use]
    pub fn attempt(accepted: TraceParent, next_hop: &dyn Display) -> Self {
        let tracer = global::tracer("chasqui");
        let builder = tracer
            .span_builder("attempt")
            .with_kind(SpanKind::Consumer)
            .with_links(vec![Link::with_context(context(accepted))]);
        let mut span = Self(tracer.build_with_context(builder, &Context::new()));
        span.note("chasqui.next_hop", next_hop);
        span
    }

    /// Part of the trace of whoever asked for it over gRPC.
    #[must_use]
    pub fn called(name: &'static str, caller: TraceParent) -> Self {
        let tracer = global::tracer("chasqui");
        let builder = tracer.span_builder(name).with_kind(SpanKind::Server);
        let parent = Context::new().with_remote_span_context(context(caller));
        Self(tracer.build_with_context(builder, &parent))
    }

    /// What others need to know to go on with this trace, or to link to it. None in a process
    /// that doesn't trace.
    #[must_use]
    pub fn context(&self) -> Option<TraceParent> {
        let context = self.0.span_context();
        let trace = u128::from_be_bytes(context.trace_id().to_bytes());
        let span = u64::from_be_bytes(context.span_id().to_bytes());
        TraceParent::new(trace, span, context.is_sampled())
    }

    /// Adds a fact, if the span is recorded. Addresses in it are hashed when they are to be.
    pub fn note(&mut self, key: &'static str, value: &dyn Display) {
        if self.0.is_recording() {
            let value = privacy::shown(value.to_string());
            self.0.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Tells what became of the recipient of that number: `outcome` is the event's name.
    pub fn recipient(
        &mut self,
        outcome: &'static str,
        number: i32,
        status: &dyn Display,
        reply: &dyn Display,
    ) {
        if !self.0.is_recording() {
            return;
        }
        let shown = |value: &dyn Display| privacy::shown(value.to_string());
        let facts = vec![
            KeyValue::new("chasqui.recipient", i64::from(number)),
            KeyValue::new("smtp.status", shown(status)),
            KeyValue::new("smtp.reply", shown(reply)),
        ];
        self.0.add_event(outcome, facts);
    }

    /// It went wrong.
    pub fn failed(&mut self, why: &dyn Display) {
        if self.0.is_recording() {
            let why = privacy::shown(why.to_string());
            self.0.set_status(Status::error(why));
        }
    }
}

fn context(of: TraceParent) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(of.trace_id().to_be_bytes()),
        SpanId::from_bytes(of.span_id().to_be_bytes()),
        TraceFlags::default().with_sampled(of.is_sampled()),
        true,
        TraceState::default(),
    )
}
