//! A service's process: it ends cleanly when asked, at once when asked twice, and fails in one line.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The example `idle`, which `cargo test` builds along with us.
fn idle() -> Command {
    let test: PathBuf = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    Command::new(profile.join("examples/idle"))
}

struct Idle {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Idle {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut idle = Self { child, lines };
        idle.expect("ready");
        idle
    }

    fn expect(&mut self, line: &str) {
        assert_eq!(self.lines.next().unwrap().unwrap(), line);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill(pid, signal).unwrap();
    }
}

#[test]
fn a_signal_lets_it_drain_and_succeed() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut idle = Idle::start(&mut idle());
        idle.signal(signal);
        idle.expect("draining");
        assert!(idle.child.wait().unwrap().success());
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut idle = Idle::start(idle().env("IDLE_FOR_EVER", "1"));
    idle.signal(Signal::SIGTERM);
    idle.expect("draining");
    idle.signal(Signal::SIGINT);
    assert_eq!(idle.child.wait().unwrap().code(), Some(128 + 2));
}

#[test]
fn a_failure_is_one_line() {
    let output = idle().arg("no room").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "idle: no room\n");
}
