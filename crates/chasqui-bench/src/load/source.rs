//! Postfix's `smtp-source`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::systems::STRANGER;

/// Messages by `smtp-source`, which ends with an error if any is refused.
#[derive(Debug, Clone)]
pub(crate) struct Burst {
    /// Sessions at a time.
    pub(crate) sessions: usize,
    /// Messages in all.
    pub(crate) messages: usize,
    /// Octets of each.
    pub(crate) size: usize,
    /// Recipients of each.
    pub(crate) recipients: usize,
    /// Whether sessions are kept for further messages.
    pub(crate) reuse: bool,
    /// To whom.
    pub(crate) to: &'static str,
}

impl Burst {
    /// Sends them all; says how long that took.
    pub(crate) async fn send(&self, to: SocketAddr, deadline: Duration) -> Result<Duration> {
        let mut command = Command::new("smtp-source");
        if self.reuse {
            command.arg("-d");
        }
        for (option, value) in [
            ("-s", self.sessions.to_string()),
            ("-m", self.messages.to_string()),
            ("-l", self.size.to_string()),
            ("-r", self.recipients.to_string()),
            ("-f", STRANGER.to_owned()),
            ("-t", self.to.to_owned()),
        ] {
            command.arg(option).arg(value);
        }
        command
            .arg(format!("inet:{}:{}", to.ip(), to.port()))
            .kill_on_drop(true);
        let began = Instant::now();
        let output = tokio::time::timeout(deadline, command.output())
            .await
            .context("smtp-source doesn't come to an end")?
            .context("can't run smtp-source: install the package postfix")?;
        let took = began.elapsed();
        ensure!(
            output.status.success(),
            "smtp-source was not content: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(took)
    }
}
