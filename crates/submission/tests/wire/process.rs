//! The program itself: its exit status, its words, its signals.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::certificate;
use crate::client::Client;
use crate::fleet::environment;

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_submission"));
    program.env_clear();
    program
}

/// A process that does not outlive its test.
struct Process {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Process {
    fn start(mut program: Command) -> Self {
        let mut child = program.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log }
    }

    /// Reads the log up to a line with these words.
    fn logged(&mut self, words: &str) -> String {
        let mut seen = String::new();
        loop {
            let start = seen.len();
            let read = self.log.read_line(&mut seen).unwrap();
            assert_ne!(read, 0, "ended without {words:?}: {seen}");
            if seen[start..].contains(words) {
                return seen[start..].to_owned();
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(pid, signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn greets_with(address: SocketAddr, trust: &std::sync::Arc<rustls::ClientConfig>) {
    let mut client = Client::connect(address);
    client.expect("220");
    client.ask("EHLO client.example.net", "250");
    client.ask("STARTTLS", "220");
    client.into_tls(trust).ask("EHLO client.example.net", "250");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reloads_the_certificate_and_a_termination_ends_in_good_order() {
    let database = testkit::database().await;
    let folder = tempfile::tempdir().unwrap();
    let old = certificate::renew(folder.path());
    let settings = [
        ("DIRECTORY__TARGETS", "[\"127.0.0.1:1\"]"),
        ("LISTEN", "[{ address = \"127.0.0.1:0\" }]"),
    ];
    let mut program = program();
    program.envs(environment(&database, folder.path(), &settings));
    let mut process = Process::start(program);
    let line = process.logged("taking mail from mail clients");
    let (_, address) = line.split_once("address=").unwrap();
    let address = address.split_whitespace().next().unwrap().parse().unwrap();
    greets_with(address, &old);

    let new = certificate::renew(folder.path());
    process.signal(Signal::SIGHUP);
    process.logged("certificate reloaded");
    greets_with(address, &new);

    process.signal(Signal::SIGTERM);
    let status = process.child.wait().unwrap();
    assert!(status.success(), "{status}");
}

fn check(config: &Path) -> Output {
    let mut program = program();
    program.arg("--config").arg(config).arg("--check");
    program.output().unwrap()
}

#[test]
fn a_faulty_configuration_is_told_with_file_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("submission.toml");
    std::fs::write(&path, "host_name = \"mail.example.org\"\nlissten = []\n").unwrap();
    let output = check(&path);
    assert!(!output.status.success());
    let told = String::from_utf8(output.stderr).unwrap();
    let expected = format!("{}: lissten: ", path.display());
    assert!(
        told.starts_with("submission: ") && told.contains(&expected),
        "{told}"
    );
}
