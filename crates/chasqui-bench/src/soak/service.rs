//! One service as a process: it can be ended, killed, frozen, and started again where it was.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

use crate::systems::{Program, Programs};

/// How long a service may take to end when it is asked to.
const END: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// A program of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Submission,
    Relay,
    Delivery,
}

impl Role {
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Submission => "submission",
            Self::Relay => "relay",
            Self::Delivery => "delivery",
        }
    }

    /// What the log says when it is ready.
    fn ready(self) -> &'static str {
        match self {
            Self::Submission => "taking mail from mail clients",
            Self::Relay => "ready to send",
            Self::Delivery => "serving gRPC",
        }
    }
}

/// A service, running or not. Killed when dropped: whoever drops it has counted already, or has given up.
pub(super) struct Service {
    pub(super) role: Role,
    /// Such as `relay2`.
    pub(super) name: String,
    /// Its name in the DNS, and among the incarnations.
    pub(super) host_name: String,
    programs: Programs,
    file: PathBuf,
    logs: PathBuf,
    starts: usize,
    program: Option<Program>,
}

impl Service {
    /// Starts it with this configuration; its logs go to a folder, one a process.
    pub(super) async fn start(
        programs: &Programs,
        role: Role,
        number: usize,
        settings: &str,
        folder: &Path,
    ) -> Result<Self> {
        let name = format!("{}{number}", role.program());
        let file = folder.join(format!("{name}.toml"));
        std::fs::write(&file, settings)
            .with_context(|| format!("can't write {}", file.display()))?;
        let mut service = Self {
            role,
            host_name: host_name(role, number),
            programs: programs.clone(),
            file,
            logs: folder.to_owned(),
            starts: 0,
            program: None,
            name,
        };
        service.restart().await?;
        Ok(service)
    }

    /// Starts a new process of it, and waits until it is ready.
    pub(super) async fn restart(&mut self) -> Result<()> {
        ensure!(!self.is_running(), "{} still runs", self.name);
        self.starts += 1;
        // A log of its own, in which an earlier process has not said yet that it is ready.
        let log = self.logs.join(format!("{}-{}.log", self.name, self.starts));
        let mut command = self.programs.command(self.role.program());
        let command = command.arg("--config").arg(&self.file);
        let program = self
            .program
            .insert(Program::start(&self.name, command, &log)?);
        program.says(self.role.ready()).await
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.program.as_mut().is_some_and(Program::is_running)
    }

    /// `kill -9`.
    pub(super) async fn kill(&mut self) -> Result<()> {
        self.signal(Signal::SIGKILL);
        self.ends().await
    }

    /// Asks it to end, and waits until it has.
    pub(super) async fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::SIGTERM);
        self.ends().await
    }

    /// Stops it where it stands.
    pub(super) fn freeze(&mut self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub(super) fn thaw(&mut self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&mut self, signal: Signal) {
        if let Some(program) = &mut self.program {
            program.signal(signal);
        }
    }

    async fn ends(&mut self) -> Result<()> {
        let began = Instant::now();
        while self.is_running() {
            ensure!(
                began.elapsed() < END,
                "{} doesn't end within {END:?}",
                self.name
            );
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

/// What a service calls itself.
pub(super) fn host_name(role: Role, number: usize) -> String {
    let label = match role {
        Role::Submission => "mail",
        Role::Relay => "mx",
        Role::Delivery => "delivery",
    };
    format!("{label}{number}.home.test")
}

impl Drop for Service {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}
