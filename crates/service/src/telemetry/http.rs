//! Plain HTTP for probes and for Prometheus: `/live`, `/ready` and `/metrics`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus::{Registry, TextEncoder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::health::Health;

/// Connections at a time: a few probes, a few who collect.
const MOST_CONNECTIONS: usize = 32;
/// Longest wait for a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection is closed after so long, whatever is read over it.
const LONGEST_CONNECTION: Duration = Duration::from_secs(60);
/// The pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

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
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    while let Some(accepted) = stop.run_until_cancelled(next(&socket, &slots)).await {
        match accepted {
            Ok((stream, slot)) => {
                let answering = answer(stream, pages.clone(), stop.clone());
                tokio::spawn(async move {
                    answering.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a probe or Prometheus was not answered");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The next connection that there is room for; others wait in the system's queue.
async fn next(
    socket: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await;
    let slot = slot.map_err(io::Error::other)?;
    let (stream, _) = socket.accept().await?;
    Ok((stream, slot))
}

async fn answer(stream: TcpStream, pages: Router, stop: CancellationToken) {
    let pages = TowerToHyperService::new(pages);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), pages);
    let connection = timeout(LONGEST_CONNECTION, connection);
    // Whoever went away or took too long comes again.
    let _ = stop.run_until_cancelled(connection).await;
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
