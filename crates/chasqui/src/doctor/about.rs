//! What a service tells about itself over plain HTTP, where `[telemetry]` lets it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rpc::Target;
use service::telemetry::read_page;
use thiserror::Error;
use tokio::net::lookup_host;
use tokio::time::timeout;

/// For each answer, and for each name.
const ANSWER: Duration = Duration::from_secs(5);
/// Octets of an answer that are read; a relay with many destinations has some hundred thousand.
const LONGEST: u64 = 8 << 20;
/// The metric whose labels name the program.
const BUILD: &str = "chasqui_build_info{";

/// Why it is not known what a service is.
#[derive(Debug, Error)]
pub(super) enum AboutError {
    #[error("does not answer")]
    Silent(#[source] io::Error),
    #[error("is no service of ours: its /metrics tells no chasqui_build_info")]
    Stranger,
}

/// A service, as it says itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) service: String,
    pub(super) version: String,
    pub(super) is_ready: bool,
    /// `ready`, `starting` or `draining`.
    pub(super) state: String,
}

/// All addresses of a name.
pub(super) async fn addresses(target: &Target) -> io::Result<Vec<SocketAddr>> {
    let found = timeout(ANSWER, lookup_host((target.host(), target.port()))).await;
    found
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map(Iterator::collect)
}

pub(super) async fn ask(place: SocketAddr) -> Result<About, AboutError> {
    let get = |page| read_page(place, page, LONGEST, ANSWER);
    let (metrics, ready) = tokio::join!(get("/metrics"), get("/ready"));
    let metrics = metrics.map_err(AboutError::Silent)?;
    let (service, version) = build(&metrics).ok_or(AboutError::Stranger)?;
    let ready = ready.map_err(AboutError::Silent)?;
    let status = ready.split_once(' ').map_or("", |(_, status)| status);
    Ok(About {
        service: service.to_owned(),
        version: version.to_owned(),
        is_ready: status.starts_with("200"),
        state: ready.lines().last().unwrap_or_default().to_owned(),
    })
}

/// Service and version in Prometheus' text format.
fn build(metrics: &str) -> Option<(&str, &str)> {
    let labels = metrics.lines().find_map(|line| line.strip_prefix(BUILD))?;
    let (labels, _) = labels.split_once('}')?;
    let value = |name: &str| {
        let mut labels = labels.split(',').filter_map(|label| label.split_once('='));
        let (_, value) = labels.find(|(label, _)| *label == name)?;
        Some(value.trim_matches('"'))
    };
    Some((value("service")?, value("version")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_labels() {
        let metrics = "# TYPE chasqui_build_info gauge\n\
                       chasqui_build_info{otel_scope_name=\"chasqui\",service=\"relay\",version=\"0.1.0\"} 1\n";
        assert_eq!(build(metrics), Some(("relay", "0.1.0")));
        assert_eq!(build("up{service=\"relay\",version=\"1\"} 1\n"), None);
    }
}
