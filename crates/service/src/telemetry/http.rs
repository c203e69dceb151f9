//! Plain HTTP for probes and for Prometheus: `/live`, `/ready` and `/metrics`.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::health::Health;

/// The media type of Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All there is to read.
pub(super) fn pages(health: Health, registry: Registry) -> Router {
    Router::new()
        // Whoever can answer is alive.
        .route("/live", get(async || "alive\n"))
        .route("/ready", get(async move || ready(&health)))
        .route("/metrics", get(async move || metrics(&registry)))
}

/// Serves until `stop`; who reads then is cut off.
pub(super) async fn serve(socket: TcpListener, pages: Router, stop: CancellationToken) {
    let served = stop.run_until_cancelled(async { axum::serve(socket, pages).await });
    if let Some(Err(error)) = served.await {
        tracing::error!(%error, "probes and Prometheus are no longer answered");
    }
}

fn ready(health: &Health) -> (StatusCode, String) {
    match health.readiness() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

fn metrics(registry: &Registry) -> impl IntoResponse + use<> {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, TEXT_FORMAT)], text),
        Err(error) => {
            let text = format!("metrics cannot be written: {error}\n");
            let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            (StatusCode::INTERNAL_SERVER_ERROR, plain, text)
        }
    }
}
