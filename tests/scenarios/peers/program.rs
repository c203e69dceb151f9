//! Running a peer to its end.

use std::process::Stdio;

use testkit::DEADLINE;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

/// How a program ended, and what it said until then.
#[derive(Debug)]
pub(crate) struct Ended {
    program: String,
    code: Option<i32>,
    /// What it printed, and after that its complaints.
    said: String,
}

/// Runs a program to its end.
pub(crate) async fn run(command: &mut Command, input: &[u8]) -> Ended {
    let program = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("can't run {program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let feeding = async {
        // It may end without reading all of it; then its code tells why.
        let _ = stdin.write_all(input).await;
        drop(stdin);
    };
    let ending = async { tokio::join!(feeding, child.wait_with_output()).1.unwrap() };
    let output = timeout(DEADLINE, ending).await;
    let output = output.unwrap_or_else(|_| panic!("{program} did not end"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended {
        program,
        code: output.status.code(),
        said: text(&output.stdout) + &text(&output.stderr),
    }
}

impl Ended {
    /// It has succeeded; returns what it said.
    #[track_caller]
    pub(crate) fn well(self) -> String {
        self.with_code(0)
    }

    /// It has ended with this code; returns what it said.
    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> String {
        assert_eq!(
            self.code,
            Some(code),
            "{} ended so and said:\n{}",
            self.program,
            self.said
        );
        self.said
    }
}
