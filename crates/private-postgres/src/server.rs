//! The running server, under the script that ends it with its owner.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::binaries::Binaries;
use crate::cluster::Cluster;
use crate::config::PrivatePostgresConfig;
use crate::error::StartError;
use crate::log::Log;
use crate::pid_file::{POLL, PidFile, end, exists, wait_until};
use crate::step::Step;

/// What makes a COMMIT durable, and who may connect; no other setting overrides these.
const FIXED: [(&str, &str); 6] = [
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("synchronous_commit", "on"),
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("logging_collector", "off"),
];

/// Free ports are tried this often: another program may take one before Postgres does.
const PORT_TRIES: usize = 5;
/// After a kill -9 of the server, its children take a moment to notice and to free its memory.
const ORPHANS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a clean shutdown, with its checkpoint, may take.
const CLEAN: Duration = Duration::from_secs(30);
/// How long an immediate one may take: Postgres itself kills stragglers after five seconds.
const IMMEDIATE: Duration = Duration::from_secs(7);
/// How long the kernel may take to end a process.
const KILLED: Duration = Duration::from_secs(5);

/// A server that accepts connections, and its supervisor.
#[derive(Debug)]
pub(crate) struct Server {
    supervisor: Child,
    /// Closing this ends the server at once.
    orders: Option<ChildStdin>,
    postmaster: Pid,
    port: u16,
}

/// Why one try to start failed.
enum Failure {
    PortInUse,
    OrphansLeft,
    Other(StartError),
}

impl Server {
    /// Starts the server and waits until it accepts connections.
    pub(crate) fn start(
        cluster: &Cluster,
        binaries: &Binaries,
        config: &PrivatePostgresConfig,
        progress: &mut dyn FnMut(Step),
    ) -> Result<Self, StartError> {
        let since = Instant::now();
        let mut wanted = config.port.or(cluster.last_port());
        let mut ports_tried = 0;
        loop {
            let port = match wanted {
                Some(port) => port,
                None => free_port()?,
            };
            progress(Step::Starting { port });
            match Self::try_start(cluster, binaries, config, port) {
                Ok(server) => {
                    progress(Step::Ready);
                    return Ok(server);
                }
                Err(Failure::PortInUse) if config.port.is_none() && ports_tried < PORT_TRIES => {
                    ports_tried += 1;
                    wanted = None;
                }
                Err(Failure::PortInUse) => return Err(StartError::PortInUse { port }),
                Err(Failure::OrphansLeft) if since.elapsed() < ORPHANS_TIMEOUT => {
                    wanted = Some(port);
                    std::thread::sleep(POLL);
                }
                Err(Failure::OrphansLeft) => {
                    let log = cluster.log();
                    let detail = "processes of a server that was killed still run".to_owned();
                    return Err(StartError::Server { detail, log });
                }
                Err(Failure::Other(error)) => return Err(error),
            }
        }
    }

    fn try_start(
        cluster: &Cluster,
        binaries: &Binaries,
        config: &PrivatePostgresConfig,
        port: u16,
    ) -> Result<Self, Failure> {
        let log = Log::from_here(cluster.log());
        let mut server = Self::spawn(cluster, binaries, config, port).map_err(Failure::Other)?;
        let data = cluster.data();
        let since = Instant::now();
        loop {
            if PidFile::read(&data).is_some_and(|file| file.pid == server.postmaster && file.ready)
            {
                return Ok(server);
            }
            if !server.is_running() {
                return Err(why_ended(&log));
            }
            if since.elapsed() > config.start_timeout {
                server.end_at_once();
                return Err(Failure::Other(StartError::Timeout {
                    after: config.start_timeout,
                    detail: log.last_words(),
                    log: log.path().to_owned(),
                }));
            }
            std::thread::sleep(POLL);
        }
    }

    fn spawn(
        cluster: &Cluster,
        binaries: &Binaries,
        config: &PrivatePostgresConfig,
        port: u16,
    ) -> Result<Self, StartError> {
        let mut command = cluster.account().command("/bin/sh");
        command
            .args(["-c", include_str!("supervise.sh"), "supervise.sh"])
            .arg(cluster.folder())
            .arg(if cluster.is_temporary() {
                cluster.folder()
            } else {
                Path::new("")
            })
            .arg(port.to_string())
            .arg(binaries.postgres())
            .arg("-D")
            .arg(cluster.data())
            .args(["-p", &port.to_string()]);
        let asked = config
            .settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        // Of a setting that is given twice, Postgres takes the last.
        for (name, value) in asked.chain(FIXED) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let mut supervisor = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(StartError::spawn("/bin/sh"))?;
        let orders = supervisor.stdin.take();
        let mut line = String::new();
        if let Some(output) = supervisor.stdout.take() {
            // Without a line the supervisor has failed, and a look at its state tells.
            let _ = BufReader::new(output).read_line(&mut line);
        }
        Ok(Self {
            supervisor,
            orders,
            postmaster: Pid::from_raw(line.trim().parse().unwrap_or(0)),
            port,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn postmaster(&self) -> Pid {
        self.postmaster
    }

    /// Whether server and supervisor are there.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.supervisor.try_wait(), Ok(None))
    }

    /// Shuts down cleanly; `false` if it took force.
    pub(crate) fn stop(mut self) -> bool {
        if let Some(mut orders) = self.orders.take() {
            // If the supervisor has gone, so has the server.
            let _ = orders.write_all(b"stop\n");
        }
        wait_until(CLEAN, || !self.is_running()) || {
            self.force();
            false
        }
    }

    /// Ends the server without a checkpoint; a temporary cluster's folder goes too.
    pub(crate) fn end_at_once(mut self) {
        drop(self.orders.take());
        if !wait_until(IMMEDIATE, || !self.is_running()) {
            self.force();
        }
    }

    fn force(&mut self) {
        if self.postmaster.as_raw() > 0 {
            let plan = [(Signal::SIGQUIT, IMMEDIATE), (Signal::SIGKILL, KILLED)];
            end(self.postmaster, &plan, || !self.is_running());
        }
    }
}

/// Stops a server on `data` whose owner has gone without it, and clears a file that would keep the
/// next one from starting.
pub(crate) fn stop_leftover(data: &Path, progress: &mut dyn FnMut(Step)) -> Result<(), StartError> {
    let Some(file) = PidFile::read(data) else {
        return Ok(());
    };
    if file.tells_of_a_running_server(data) {
        let pid = file.pid;
        progress(Step::StoppingLeftover { pid: pid.as_raw() });
        let plan = [
            (Signal::SIGINT, CLEAN),
            (Signal::SIGQUIT, IMMEDIATE),
            (Signal::SIGKILL, KILLED),
        ];
        end(pid, &plan, || !file.tells_of_a_running_server(data));
    } else if exists(file.pid) {
        // Postgres would take whoever has that number now for a running server.
        let path = PidFile::path(data);
        std::fs::remove_file(&path).map_err(StartError::folder("remove", &path))?;
    }
    Ok(())
}

fn why_ended(log: &Log) -> Failure {
    let text = log.text();
    if text.contains("Address already in use") {
        Failure::PortInUse
    } else if text.contains("pre-existing shared memory block") {
        Failure::OrphansLeft
    } else {
        Failure::Other(StartError::Server {
            detail: log.last_words(),
            log: log.path().to_owned(),
        })
    }
}

/// A port that is free at this moment.
fn free_port() -> Result<u16, StartError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(StartError::spawn("a listener on 127.0.0.1"))
}
