//! Whether a process serves: told to probes, and asked by `--health`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::page::{on_this_machine, read_page};
use crate::config::TelemetrySection;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Octets of an answer that are read: its first line is all that matters.
const ANSWER: u64 = 512;

/// Where a process is in its life. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Health {
    started: Arc<AtomicBool>,
    shutdown: CancellationToken,
}

impl Health {
    pub(super) fn new(shutdown: CancellationToken) -> Self {
        Self {
            started: Arc::default(),
            shutdown,
        }
    }

    pub(super) fn started(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// Whether it takes work; else why not.
    ///
    /// A database that is away is no reason: then all instances would be taken out of service at
    /// once, and clients would find nobody instead of a `451` that tells them to come back.
    pub(super) fn readiness(&self) -> Result<(), &'static str> {
        if self.shutdown.is_cancelled() {
            Err("draining")
        } else if self.started.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("starting")
        }
    }
}

/// Why a service doesn't count as ready.
#[derive(Debug, Error)]
pub enum NotReady {
    /// Nobody would answer.
    #[error("set [telemetry] listen: without it nobody answers for the service's health")]
    NotConfigured,
    /// Nobody answers.
    #[error("the service does not answer on {0}")]
    Silent(SocketAddr, #[source] io::Error),
    /// It said so.
    #[error("the service on {0} says {1}")]
    Said(SocketAddr, String),
}

/// Asks the service that runs on this machine with this configuration whether it is ready.
///
/// # Errors
/// [`NotReady`], if it isn't.
pub async fn ask_ready(section: &TelemetrySection) -> Result<(), NotReady> {
    let address = on_this_machine(section.listen.ok_or(NotReady::NotConfigured)?);
    let answer = read_page(address, "/ready", ANSWER, PATIENCE)
        .await
        .map_err(|error| NotReady::Silent(address, error))?;
    let status = answer.lines().next().unwrap_or_default();
    match status.split_once(' ') {
        Some((_, status)) if status.starts_with("200") => Ok(()),
        _ => Err(NotReady::Said(address, status.to_owned())),
    }
}
