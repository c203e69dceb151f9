//! Someone who tries Chasqui out.

use std::collections::HashSet;
use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

pub(crate) const DOMAIN: &str = "chasqui.test";

/// A folder that goes with the test. Postgres runs as another user when we are root, and would be
/// set up elsewhere if it could not reach this one.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Ports that were free a moment ago, in the order of [`FLAGS`].
pub(crate) struct Ports([u16; 4]);

const FLAGS: [&str; 4] = [
    "--port-submission",
    "--port-submissions",
    "--port-relay",
    "--port-lmtp",
];

impl Ports {
    /// Below the ports that systems give to outgoing connections, so that a next start finds them
    /// free as well.
    pub(crate) fn free() -> Self {
        let free = || loop {
            let port = rand::random_range(10_000..20_000);
            if let Ok(socket) = TcpListener::bind(("127.0.0.1", port)) {
                return socket;
            }
        };
        let sockets = FLAGS.map(|_| free());
        Self(sockets.map(|socket| socket.local_addr().unwrap().port()))
    }

    pub(crate) fn submission(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.0[0]))
    }

    pub(crate) fn submissions(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.0[1]))
    }

    pub(crate) fn flags(&self) -> Vec<String> {
        let flags = FLAGS.into_iter().zip(self.0);
        flags
            .flat_map(|(flag, port)| [flag.to_owned(), port.to_string()])
            .collect()
    }
}

/// The command, with nothing of the environment that could steer it.
pub(crate) fn chasqui(arguments: &[&str], state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chasqui"));
    command
        .args(arguments)
        .arg("--state")
        .arg(state)
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A `chasqui dev` that is running.
pub(crate) struct Dev {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<String>>,
    /// What it has said up to its `ready`.
    pub(crate) said: Vec<String>,
    pub(crate) state: PathBuf,
}

impl Dev {
    /// Starts it, and waits until it says that it is ready.
    #[track_caller]
    pub(crate) fn start(state: &Path, flags: &[String]) -> Self {
        let mut child = chasqui(&["dev"], state).args(flags).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = read_all(child.stderr.take().unwrap());
        let mut said: Vec<String> = Vec::new();
        while !said.last().is_some_and(|line| line.starts_with("ready")) {
            let mut line = String::new();
            if stdout.read_line(&mut line).unwrap() == 0 {
                let complaint = stderr.join().unwrap();
                panic!("it ended before it was ready: {said:#?} {complaint}");
            }
            said.push(line.trim_end().to_owned());
        }
        Self {
            child,
            stdout,
            stderr: Some(stderr),
            said,
            state: state.to_owned(),
        }
    }

    /// The file that the first message arrived in.
    #[track_caller]
    pub(crate) fn first_message(&self) -> PathBuf {
        let marker = "/new/";
        let line = self.said.iter().find(|line| line.contains(marker));
        let line = line.unwrap_or_else(|| panic!("no message arrived: {:#?}", self.said));
        PathBuf::from(line.trim())
    }

    /// The process id of its Postgres.
    pub(crate) fn postgres(&self) -> i32 {
        let file = self.state.join("postgres/data/postmaster.pid");
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().next().unwrap().trim().parse().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits for its end; gives the status, what it said last, and all of its complaints.
    pub(crate) fn ended(&mut self) -> (ExitStatus, String, String) {
        let mut last = String::new();
        self.stdout.read_to_string(&mut last).unwrap();
        let complaints = self.stderr.take().unwrap().join().unwrap();
        (self.child.wait().unwrap(), last, complaints)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // A test that failed leaves nothing running; Postgres goes with its owner.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_all(mut stderr: ChildStderr) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    })
}

/// The messages in a mailbox.
pub(crate) fn mailbox(state: &Path, local_part: &str) -> HashSet<PathBuf> {
    let folder = state.join("mail").join(DOMAIN).join(local_part).join("new");
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_not_there_yet) => HashSet::new(),
    }
}

pub(crate) fn is_running(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None).is_ok()
}
