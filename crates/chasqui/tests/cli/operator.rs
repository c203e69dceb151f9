//! Someone who types commands.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use testkit::TestDatabase;

/// Types commands that concern one database.
pub(crate) struct Operator {
    url: Option<String>,
    environment: Vec<(&'static str, String)>,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Operator {
    /// On a fresh database, set up.
    pub(crate) async fn new() -> Self {
        let operator = Self::of(&testkit::database().await);
        operator.succeeds(&["migrate"]);
        operator
    }

    pub(crate) fn of(database: &TestDatabase) -> Self {
        Self {
            url: Some(database.url().to_owned()),
            environment: Vec::new(),
        }
    }

    pub(crate) fn without_a_database() -> Self {
        Self {
            url: None,
            environment: Vec::new(),
        }
    }

    /// With this in the environment.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// Runs `chasqui` with these arguments.
    pub(crate) fn types(&self, arguments: &[&str]) -> Done {
        self.types_and_pipes(arguments, "")
    }

    /// Runs `chasqui` with this on its standard input.
    pub(crate) fn types_and_pipes(&self, arguments: &[&str], input: &str) -> Done {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chasqui"));
        command.args(arguments).env_remove("DATABASE_URL");
        if let Some(url) = &self.url {
            command.env("DATABASE_URL", url);
        }
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that wants no input may have ended by now.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Done::from(child.wait_with_output().unwrap())
    }

    /// Runs a command that must succeed in silence, and gives what it prints.
    #[track_caller]
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        self.types(arguments).succeeded()
    }

    /// Runs a command that must succeed with `--json`, and gives what it prints.
    #[track_caller]
    pub(crate) fn tells(&self, arguments: &[&str]) -> Value {
        let printed = self.succeeds(&[arguments, &["--json"]].concat());
        serde_json::from_str(&printed).unwrap()
    }

    /// Runs a command that must fail, and gives its one line of complaint.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        self.types(arguments).failed(1)
    }
}

impl Done {
    #[track_caller]
    pub(crate) fn succeeded(self) -> String {
        assert_eq!((self.status, self.stderr.as_str()), (0, ""), "{self:?}");
        self.stdout
    }

    #[track_caller]
    pub(crate) fn failed(self, status: i32) -> String {
        assert_eq!(
            (self.status, self.stdout.as_str()),
            (status, ""),
            "{self:?}"
        );
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        self.stderr.trim_end().to_owned()
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            // None when a signal ended it.
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
