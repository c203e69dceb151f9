//! The collector that metrics and traces go to by OTLP over gRPC, and how it is trusted.

use std::fs;
use std::path::Path;
use std::time::Duration;

use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig as _, WithTonicConfig as _,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::watched::Watched;
use crate::config::TelemetrySection;

/// Longest wait for a collector; what it doesn't take by then is lost.
const DEADLINE: Duration = Duration::from_secs(5);

/// A collector to export to.
#[derive(Debug)]
pub(super) struct Collector<'a> {
    url: &'a str,
    /// None for plain text.
    tls: Option<ClientTlsConfig>,
    /// What to do when no exporter can be made; empty if nothing comes to mind.
    advice: &'static str,
}

impl<'a> Collector<'a> {
    /// The one that is configured, if one is.
    pub(super) fn of(section: &'a TelemetrySection) -> Result<Option<Self>, String> {
        let Some(url) = section.otlp.as_deref() else {
            return Ok(None);
        };
        let mut advice = "";
        let tls = if !url.starts_with("https://") {
            None
        } else if let Some(path) = &section.otlp_authority {
            Some(ClientTlsConfig::new().ca_certificate(authority(path)?))
        } else {
            advice = ": a collector by https is checked against the authorities of this machine: \
                      install its ca-certificates, or name the collector's own in otlp_authority";
            Some(ClientTlsConfig::new().with_enabled_roots())
        };
        Ok(Some(Self { url, tls, advice }))
    }

    pub(super) fn metrics(&self) -> Result<Watched, String> {
        let exporter = MetricExporter::builder().with_tonic();
        let exporter = match &self.tls {
            Some(tls) => exporter.with_tls_config(tls.clone()),
            None => exporter,
        };
        let exporter = exporter.with_endpoint(self.url).with_timeout(DEADLINE);
        let exporter = exporter.build().map_err(|error| self.unusable(&error))?;
        Ok(Watched::new(exporter, self.url))
    }

    pub(super) fn spans(&self) -> Result<SpanExporter, String> {
        let exporter = SpanExporter::builder().with_tonic();
        let exporter = match &self.tls {
            Some(tls) => exporter.with_tls_config(tls.clone()),
            None => exporter,
        };
        let exporter = exporter.with_endpoint(self.url).with_timeout(DEADLINE);
        exporter.build().map_err(|error| self.unusable(&error))
    }

    fn unusable(&self, error: &ExporterBuildError) -> String {
        format!("otlp {}: {error}{}", self.url, self.advice)
    }
}

/// Whoever may vouch for the collector. A file without certificates would trust nobody, silently.
fn authority(path: &Path) -> Result<Certificate, String> {
    let shown = path.display();
    let pem =
        fs::read(path).map_err(|error| format!("otlp_authority: can't read {shown}: {error}"))?;
    let mut certificates = CertificateDer::pem_slice_iter(&pem);
    match certificates.next() {
        Some(Ok(_)) => Ok(Certificate::from_pem(pem)),
        Some(Err(_)) | None => Err(format!(
            "otlp_authority: {shown} has no certificate in PEM form"
        )),
    }
}
