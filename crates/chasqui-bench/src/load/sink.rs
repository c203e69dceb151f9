//! Postfix's `smtp-sink`, which counts.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::unistd::Uid;
use tokio::net::TcpStream;

/// How often the count is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// The last counters fit into this many octets at the end of its output.
const TAIL: i64 = 200;
const BACKLOG: &str = "1000";

/// A running `smtp-sink`.
#[derive(Debug)]
pub(crate) struct Sink {
    child: Child,
    address: SocketAddr,
    output: PathBuf,
}

impl Sink {
    /// Starts one that listens at `address` and keeps its counters in `folder`.
    pub(crate) async fn start(address: SocketAddr, folder: &Path) -> Result<Self> {
        let output = folder.join(format!("smtp-sink-{}.out", address.port()));
        let mut command = Command::new("smtp-sink");
        if Uid::effective().is_root() {
            // It refuses to run as root.
            command.args(["-u", "nobody"]);
        }
        let child = command
            .arg("-c")
            .arg(address.to_string())
            .arg(BACKLOG)
            .stdin(Stdio::null())
            .stdout(File::create(&output)?)
            .stderr(Stdio::null())
            .spawn()
            .context("can't run smtp-sink: install the package postfix")?;
        let sink = Self {
            child,
            address,
            output,
        };
        let began = Instant::now();
        while TcpStream::connect(sink.address).await.is_err() {
            ensure!(
                began.elapsed() < Duration::from_secs(5),
                "smtp-sink doesn't start"
            );
            tokio::time::sleep(LOOK).await;
        }
        Ok(sink)
    }

    /// Waits until it has received so many messages.
    pub(crate) async fn receives(&self, messages: usize, deadline: Duration) -> Result<()> {
        let began = Instant::now();
        loop {
            let received = self.received()?;
            if received >= messages {
                return Ok(());
            }
            ensure!(
                began.elapsed() < deadline,
                "only {received} of {messages} messages arrived within {deadline:?}"
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How many messages it has received.
    pub(crate) fn received(&self) -> Result<usize> {
        // Counters come as `sess=1 quit=0 mesg=0`, each over the last by a carriage return.
        let mut file = File::open(&self.output)?;
        let length = i64::try_from(file.metadata()?.len())?;
        file.seek(SeekFrom::End(-length.min(TAIL)))?;
        let mut tail = String::new();
        file.read_to_string(&mut tail)?;
        let count = tail.split('\r').rev().find_map(messages_of);
        Ok(count.unwrap_or(0))
    }
}

fn messages_of(counters: &str) -> Option<usize> {
    let (_, count) = counters.rsplit_once("mesg=")?;
    // One that is being written has no end yet.
    count.strip_suffix(' ').unwrap_or(count).trim().parse().ok()
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
