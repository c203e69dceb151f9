//! A program that a test runs, and may stop, freeze and kill.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::Signal;
use tempfile::TempPath;
use tokio::net::TcpStream;

use crate::processes::signal;
use crate::wait::wait_until;

/// Lines of the log that a failed test shows.
const SHOWN: usize = 60;

/// A running program. When dropped it is killed, and shows the end of its log if the test failed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: TempPath,
}

impl Process {
    /// Starts a program. What it prints goes to its log.
    ///
    /// # Panics
    /// When it can't be run.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let program = PathBuf::from(command.get_program());
        let name = program.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let (output, log) = tempfile::NamedTempFile::new().unwrap().into_parts();
        let errors: File = output.try_clone().unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("can't run {}: {error}", program.display()));
        Self { name, child, log }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// All that it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until it has printed this.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn wait_for_log(&mut self, text: &str) {
        let what = format!("{text:?} in the log of {}", self.name);
        wait_until(&what, async || {
            let found = self.log().contains(text);
            found || self.still_runs_without(&what)
        })
        .await;
    }

    /// Waits until something accepts connections at `address`.
    ///
    /// # Panics
    /// When the process ends instead.
    pub async fn wait_for_port(&mut self, address: SocketAddr) {
        let what = format!("{} to listen on {address}", self.name);
        wait_until(&what, async || {
            let found = TcpStream::connect(address).await.is_ok();
            found || self.still_runs_without(&what)
        })
        .await;
    }

    /// Whether it is there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> ExitStatus {
        let what = format!("{} to end", self.name);
        wait_until(&what, async || !self.is_running()).await;
        self.child.wait().unwrap()
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait().await
    }

    /// Kills it (SIGKILL), and waits until it is dead.
    pub async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait().await;
    }

    /// Freezes it (SIGSTOP).
    pub fn freeze(&mut self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&mut self) {
        self.signal(Signal::SIGCONT);
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&mut self, what: Signal) {
        // One that was waited for has no id any more that is surely its own.
        if self.is_running() {
            signal(self.id(), what);
        }
    }

    /// Always `false`, for the condition that was waited for has not come to hold yet.
    fn still_runs_without(&mut self, what: &str) -> bool {
        if let Ok(Some(status)) = self.child.try_wait() {
            panic!("{} ended ({status}) instead of {what}", self.name);
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN)..];
            eprintln!("--- log of {} ---\n{}\n---", self.name, shown.join("\n"));
        }
    }
}
