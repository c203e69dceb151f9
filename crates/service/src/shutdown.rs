//! Ends a service in good order when it is asked to.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal as listen};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Exit status of a process that ends by a signal: 128 and the signal's number.
const BY_SIGNAL: i32 = 128;

/// A token that is cancelled by the first SIGTERM or SIGINT. The second ends the process at once,
/// which loses nothing that was acknowledged. Must be called within a tokio runtime.
///
/// # Errors
/// When the system lets us have no signals.
pub fn signal() -> io::Result<CancellationToken> {
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let shutdown = token.clone();
    tokio::spawn(async move {
        next(&mut terminate, &mut interrupt).await;
        info!("shutting down; a second signal ends at once");
        shutdown.cancel();
        let number = next(&mut terminate, &mut interrupt).await;
        std::process::exit(BY_SIGNAL + number);
    });
    Ok(token)
}

/// Waits for either signal, and tells its number.
async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> i32 {
    tokio::select! {
        _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
        _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
    }
}
