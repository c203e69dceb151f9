//! `postmaster.pid`, which a running server keeps in its data folder, and the server it tells of.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How often a state that will change soon is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// The lines of the file that matter to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: Pid,
    pub(crate) port: Option<u16>,
    /// The server accepts connections.
    pub(crate) ready: bool,
}

impl PidFile {
    pub(crate) fn path(data: &Path) -> PathBuf {
        data.join("postmaster.pid")
    }

    pub(crate) fn read(data: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(Self::path(data)).ok()?)
    }

    /// Line 1 is the process id, 4 the port, 8 the status; a starting server adds them one by one.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim);
        let pid = lines.next()?.parse().ok().filter(|pid| *pid > 0)?;
        let port = lines.nth(2).and_then(|port| port.parse().ok());
        let ready = lines.nth(3) == Some("ready");
        Some(Self {
            pid: Pid::from_raw(pid),
            port,
            ready,
        })
    }

    /// Whether the process is there, and is the server of this data folder. After a crash the file
    /// stays behind, and its number may by now be anyone's.
    pub(crate) fn tells_of_a_running_server(&self, data: &Path) -> bool {
        exists(self.pid) && command_line(self.pid).is_some_and(|line| mentions(&line, data))
    }
}

/// Whether there is such a process.
pub(crate) fn exists(pid: Pid) -> bool {
    matches!(kill(pid, None), Ok(()) | Err(Errno::EPERM))
}

/// Sends signals, each time waiting a while for the end; `false` if the end never came.
pub(crate) fn end(pid: Pid, plan: &[(Signal, Duration)], mut ended: impl FnMut() -> bool) -> bool {
    plan.iter().any(|(signal, patience)| {
        // It may have ended since we looked.
        let _ = kill(pid, *signal);
        wait_until(*patience, &mut ended)
    })
}

/// Looks at `condition` until it holds (`true`) or the time is up.
pub(crate) fn wait_until(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let since = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if since.elapsed() >= patience {
            return false;
        }
        std::thread::sleep(POLL);
    }
}

/// A process' command line, from `/proc` where there is one.
fn command_line(pid: Pid) -> Option<Vec<u8>> {
    if Path::new("/proc/self/cmdline").exists() {
        return std::fs::read(format!("/proc/{pid}/cmdline")).ok();
    }
    let output = Command::new("ps")
        .args(["-ww", "-o", "command=", "-p", &pid.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    Some(output.stdout)
}

fn mentions(line: &[u8], data: &Path) -> bool {
    let data = data.as_os_str().as_encoded_bytes();
    line.windows(data.len()).any(|part| part == data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_read_at_every_stage() {
        let pid = Pid::from_raw(4711);
        let starting = PidFile {
            pid,
            port: None,
            ready: false,
        };
        assert_eq!(PidFile::parse("4711\n/data\n1700000000\n"), Some(starting));
        let recovering = PidFile {
            port: Some(5433),
            ..starting
        };
        let head = "4711\n/data\n1700000000\n5433\n\n127.0.0.1\n  1234  56\n";
        assert_eq!(
            PidFile::parse(&format!("{head}starting\n")),
            Some(recovering)
        );
        let ready = PidFile {
            ready: true,
            ..recovering
        };
        assert_eq!(PidFile::parse(&format!("{head}ready   \n")), Some(ready));
    }

    #[test]
    fn a_damaged_pid_file_names_no_process() {
        for text in ["", "\n", "x\n", "-4711\n/data\n", "0\n"] {
            assert_eq!(PidFile::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_process_that_merely_reuses_the_number_is_not_the_server() {
        let file = PidFile {
            pid: Pid::this(),
            port: None,
            ready: true,
        };
        assert!(!file.tells_of_a_running_server(Path::new("/no/such/data")));
    }
}
