//! OpenTelemetry's side: who collects what the instruments count, and where spans go.

use opentelemetry::trace::{Link, SpanKind, TraceId, TraceState};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample,
};
use prometheus::Registry;
use uuid::Uuid;

use super::collector::Collector;
use super::messages;
use crate::config::TelemetrySection;
use crate::node;

/// What is set up, so that it can be ended.
#[derive(Debug, Default)]
pub(super) struct Export {
    registry: Registry,
    metrics: Option<SdkMeterProvider>,
    traces: Option<SdkTracerProvider>,
}

impl Export {
    pub(super) fn start(service: &'static str, section: &TelemetrySection) -> Result<Self, String> {
        let mut export = Self::default();
        if !section.is_on() {
            return Ok(export);
        }
        let resource = resource(service);
        let mut metrics = SdkMeterProvider::builder().with_resource(resource.clone());
        if section.listen.is_some() {
            let reader = opentelemetry_prometheus::exporter()
                .with_registry(export.registry.clone())
                .scope_info_enabled(false)
                .build()
                .map_err(|error| error.to_string())?;
            metrics = metrics.with_reader(reader);
        }
        if let Some(collector) = Collector::of(section)? {
            metrics = metrics.with_periodic_exporter(collector.metrics()?);
            let traces = traces(&collector, section.sample, resource)?;
            global::set_tracer_provider(traces.clone());
            export.traces = Some(traces);
        }
        let metrics = metrics.build();
        global::set_meter_provider(metrics.clone());
        export.metrics = Some(metrics);
        tell_version(service);
        messages::begin();
        Ok(export)
    }

    /// Where Prometheus finds the metrics.
    pub(super) fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// Exports what has not been yet. Blocks.
    pub(super) fn end(self) {
        let traces = self.traces.map(|traces| traces.shutdown());
        let metrics = self.metrics.map(|metrics| metrics.shutdown());
        for error in [traces, metrics]
            .into_iter()
            .flatten()
            .filter_map(Result::err)
        {
            tracing::warn!(%error, "the last metrics and traces were not exported");
        }
    }
}

/// Who tells. A collector adds up what comes from one resource, so that each process must be one.
fn resource(service: &'static str) -> Resource {
    let attributes = [
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
        KeyValue::new("host.name", node::name()),
    ];
    Resource::builder()
        .with_service_name(format!("chasqui-{service}"))
        .with_attributes(attributes)
        .build()
}

fn traces(
    collector: &Collector<'_>,
    sample: f64,
    resource: Resource,
) -> Result<SdkTracerProvider, String> {
    let share = Sampler::TraceIdRatioBased(sample);
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(collector.spans()?)
        .with_sampler(Sampling(Sampler::ParentBased(Box::new(share))))
        .with_resource(resource)
        .build())
}

/// Traces a share of the messages, each as a whole: what is linked to a message's acceptance is
/// sampled when that was, in whichever process it happens.
#[derive(Clone, Debug)]
struct Sampling(Sampler);

impl ShouldSample for Sampling {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let Some(accepted) = links.first() else {
            let Self(sampler) = self;
            return sampler.should_sample(parent, trace, name, kind, attributes, links);
        };
        SamplingResult {
            decision: if accepted.span_context.is_sampled() {
                SamplingDecision::RecordAndSample
            } else {
                SamplingDecision::Drop
            },
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        }
    }
}

/// The usual way to tell versions apart on a dashboard: a gauge that is always 1.
fn tell_version(service: &'static str) {
    let gauge = global::meter("chasqui")
        .u64_gauge("chasqui_build_info")
        .with_description("1, with the version of the running program")
        .build();
    let version = env!("CARGO_PKG_VERSION");
    let labels = [
        KeyValue::new("service", service),
        KeyValue::new("version", version),
    ];
    gauge.record(1, &labels);
}
