//! One service as a process: it can be ended, killed, frozen, and started again where it was.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;

use nix::sys::signal::Signal;
use testkit::{Binaries, Process};

use crate::fleet::Settings;

/// What the log says when a service is ready.
pub(crate) const READY: [(&str, &str); 3] = [
    ("submission", "taking mail from mail clients"),
    ("relay", "ready to send"),
    ("delivery", "serving gRPC"),
];

/// A service, running or not.
pub(crate) struct Service {
    binaries: Binaries,
    program: &'static str,
    settings: Settings,
    file: PathBuf,
    /// Its name in the DNS, and among the incarnations.
    pub(crate) host_name: String,
    /// Where SMTP is spoken. Nowhere for a delivery service.
    pub(crate) smtp: Option<SocketAddr>,
    /// Where gRPC is spoken.
    pub(crate) grpc: SocketAddr,
    /// Where it answers probes and Prometheus.
    pub(crate) telemetry: SocketAddr,
    process: Process,
    /// What earlier processes of it have logged.
    earlier: String,
}

/// A service that is to be started.
pub(crate) struct Blueprint {
    pub(crate) program: &'static str,
    pub(crate) settings: Settings,
    pub(crate) file: PathBuf,
    pub(crate) host_name: String,
    pub(crate) smtp: Option<SocketAddr>,
    pub(crate) grpc: SocketAddr,
    pub(crate) telemetry: SocketAddr,
}

impl Service {
    /// Starts a process, which gets ready by itself.
    pub(crate) fn spawn(binaries: &Binaries, blueprint: Blueprint) -> Self {
        let Blueprint {
            program,
            settings,
            file,
            host_name,
            smtp,
            grpc,
            telemetry,
        } = blueprint;
        std::fs::write(&file, settings.text()).unwrap();
        let process = Process::start(binaries.command(program).arg("--config").arg(&file));
        Self {
            binaries: binaries.clone(),
            program,
            settings,
            file,
            host_name,
            smtp,
            grpc,
            telemetry,
            process,
            earlier: String::new(),
        }
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn is_ready(&mut self) {
        let ready = READY.iter().find(|(program, _)| *program == self.program);
        let (_, words) = ready.unwrap();
        self.process.wait_for_log(words).await;
    }

    /// Starts a new process of it, which must have ended, and waits until it is ready.
    pub(crate) async fn start(&mut self) {
        assert!(!self.process.is_running(), "{} still runs", self.program);
        self.earlier.push_str(&self.process.log());
        let mut command = self.binaries.command(self.program);
        self.process = Process::start(command.arg("--config").arg(&self.file));
        self.is_ready().await;
    }

    /// Changes its configuration; the next process reads it.
    pub(crate) fn configure(&mut self, line: &str) {
        self.settings.set(line);
        std::fs::write(&self.file, self.settings.text()).unwrap();
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.process.terminate().await
    }

    /// Asks it to end, and waits for nothing.
    pub(crate) fn ask_to_end(&mut self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// Waits until it has ended.
    pub(crate) async fn ends(&mut self) -> ExitStatus {
        self.process.wait().await
    }

    /// Runs its program once more with its configuration and a flag, and returns the exit code.
    pub(crate) async fn exit_code(&self, flag: &str) -> Option<i32> {
        let mut command = self.binaries.command(self.program);
        let mut process = Process::start(command.arg("--config").arg(&self.file).arg(flag));
        process.wait().await.code()
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Stops it where it stands (SIGSTOP).
    pub(crate) fn freeze(&mut self) {
        self.process.freeze();
    }

    /// Lets it go on (SIGCONT).
    pub(crate) fn thaw(&mut self) {
        self.process.thaw();
    }

    /// Whether its process is there.
    pub(crate) fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Waits until its present process says this.
    pub(crate) async fn says(&mut self, words: &str) {
        self.process.wait_for_log(words).await;
    }

    /// All that it has logged, over all of its processes.
    pub(crate) fn log(&self) -> String {
        format!("{}{}", self.earlier, self.process.log())
    }

    /// Where SMTP is spoken.
    pub(crate) fn smtp(&self) -> SocketAddr {
        self.smtp.expect("a delivery service takes no mail by SMTP")
    }
}
