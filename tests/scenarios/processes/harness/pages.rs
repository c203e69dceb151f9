//! What a service tells a probe and Prometheus, by plain HTTP.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The status and the text of a page.
pub(crate) async fn page(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// The metrics of a service, as Prometheus reads them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(String);

impl Metrics {
    pub(crate) async fn of(address: SocketAddr) -> Self {
        let (status, text) = page(address, "/metrics").await;
        assert_eq!(status, 200, "{text}");
        Self(text)
    }

    /// The value of a series, such as `chasqui_logins_total{result="accepted"}`.
    pub(crate) fn value(&self, series: &str) -> f64 {
        self.find(series)
            .unwrap_or_else(|| panic!("no {series} in\n{}", self.0))
    }

    /// The same, or none.
    pub(crate) fn find(&self, series: &str) -> Option<f64> {
        let mut values = self.0.lines().filter_map(|line| line.rsplit_once(' '));
        let value = values.find(|(name, _)| *name == series)?.1;
        Some(value.parse().unwrap())
    }

    /// The names of all metrics, and of all series without their labels: a histogram has several.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let lines = self.0.lines().filter(|line| !line.starts_with("# HELP"));
        lines
            .map(|line| line.strip_prefix("# TYPE ").unwrap_or(line))
            .filter_map(|line| line.split(['{', ' ']).next())
            .map(str::to_owned)
            .collect()
    }
}
