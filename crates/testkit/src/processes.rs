//! Signals to processes and to their children.

use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// Sends a signal; a process that has gone already is as good.
pub(crate) fn signal(pid: i32, signal: Signal) {
    assert!(pid > 0, "{pid} would be a whole group of processes");
    let _ = nix::sys::signal::kill(Pid::from_raw(pid), signal);
}

/// The children of a process, by a look through `/proc`.
pub(crate) fn children_of(parent: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").expect("this test needs /proc");
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // `pid (name) state parent …`, where the name may hold anything.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}
