//! An exporter of metrics that says when nobody takes them, and when somebody does again. The SDK
//! keeps such news to itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;

/// A [`MetricExporter`] whose failures are logged: the first of a row of them only.
#[derive(Debug)]
pub(super) struct Watched {
    exporter: MetricExporter,
    collector: String,
    failing: AtomicBool,
}

impl Watched {
    /// Watches an exporter to the collector at this URL.
    pub(super) fn new(exporter: MetricExporter, collector: &str) -> Self {
        Self {
            exporter,
            collector: collector.to_owned(),
            failing: AtomicBool::new(false),
        }
    }

    fn tell(&self, result: &OTelSdkResult) {
        let collector = self.collector.as_str();
        let failed_before = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Err(error) if !failed_before => {
                tracing::warn!(collector, %error, "metrics are not taken by the collector");
            }
            Ok(()) if failed_before => {
                tracing::info!(collector, "metrics are taken by the collector again");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

impl PushMetricExporter for Watched {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        self.tell(&result);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
