//! Another process that owns a Postgres, and processes to kill.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tempfile::TempDir;

/// Long enough for a busy machine; a test that waits this long has failed.
const DEADLINE: Duration = Duration::from_secs(60);

/// A folder for a cluster that an unprivileged user can reach.
pub fn state_folder() -> TempDir {
    folder_of_mode(0o711)
}

/// A folder in which any user may make files.
pub fn folder_for_all() -> TempDir {
    folder_of_mode(0o777)
}

/// A folder of given permissions.
pub fn folder_of_mode(mode: u32) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode)).unwrap();
    folder
}

/// The example `owner`, which `cargo test` builds along with us.
pub fn owner_program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    profile.join("examples/owner")
}

/// A process of the example `owner`, whose server is ready.
pub struct Owner {
    child: Child,
    url: String,
    postmaster: i32,
    folder: Option<PathBuf>,
    /// Kept open, because the owner says goodbye.
    output: BufReader<ChildStdout>,
}

impl Owner {
    pub fn spawn(argument: &str) -> Self {
        Self::read(Command::new(owner_program()).arg(argument))
    }

    pub fn spawn_in(folder: &Path, argument: &str) -> Self {
        Self::read(
            Command::new(owner_program())
                .arg(argument)
                .current_dir(folder),
        )
    }

    pub fn spawn_as(user: &str, program: &Path, argument: &str) -> Self {
        Self::read(
            Command::new("runuser")
                .args(["-u", user, "--"])
                .arg(program)
                .arg(argument)
                .current_dir("/"),
        )
    }

    fn read(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let mut owner = Self {
            child,
            url: String::new(),
            postmaster: 0,
            folder: None,
            output: BufReader::new(output),
        };
        owner.read_steps();
        owner
    }

    fn read_steps(&mut self) {
        for line in self.output.by_ref().lines() {
            let line = line.unwrap();
            if let Some(rest) = line.strip_prefix("setting up a database in ") {
                self.folder = rest.split(',').next().map(PathBuf::from);
            } else if let Some(url) = line.strip_prefix("url ") {
                self.url = url.to_owned();
            } else if let Some(pid) = line.strip_prefix("postmaster ") {
                self.postmaster = pid.parse().unwrap();
                return;
            }
        }
        panic!("the owner ended early")
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub fn postmaster(&self) -> i32 {
        self.postmaster
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder that was set up.
    pub fn folder(&self) -> PathBuf {
        self.folder.clone().unwrap()
    }

    /// Lets it end by itself.
    pub fn end(&mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }

    pub fn wait(&mut self) {
        self.child.wait().unwrap();
    }
}

pub fn kill(pid: i32) {
    nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

pub fn exists(pid: i32) -> bool {
    // One that has ended but that nobody has waited for yet counts as gone.
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let zombie = state
        .rsplit(')')
        .next()
        .is_some_and(|rest| rest.trim().starts_with('Z'));
    nix::sys::signal::kill(Pid::from_raw(pid), None).is_ok() && !zombie
}

pub fn wait_until(mut condition: impl FnMut() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < DEADLINE, "waited in vain");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn wait_until_gone(pid: i32) {
    wait_until(|| !exists(pid));
}

/// A process that does nothing, of the user who owns `folder`.
pub fn spawn_as_owner_of(folder: &Path) -> Child {
    let owner = folder.metadata().unwrap();
    let mut command = Command::new("sleep");
    command.arg("600").current_dir("/");
    if nix::unistd::geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command.spawn().unwrap()
}

pub fn end(mut process: Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

/// The processes that stand between an owner and its server: the supervisor and its watch.
pub fn supervisors_of(owner: i32, postmaster: i32) -> Vec<i32> {
    let supervisors = children_of(owner);
    let mut all: Vec<i32> = supervisors
        .iter()
        .flat_map(|pid| children_of(*pid))
        .collect();
    all.retain(|pid| *pid != postmaster);
    // The watch first: it would end the server when its supervisor goes.
    all.extend(supervisors);
    all
}

fn children_of(parent: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // `pid (name) state parent …`, where the name may hold anything.
    stat.rsplit(')')
        .next()?
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}
