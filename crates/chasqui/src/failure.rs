//! Why a command failed, in one line with the remedy.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use ::queue::{MigrationError, QueueError, QueueId};
use directory::{ChangeError, DirectoryError, MigrateError};
use private_postgres::LocateError;
use smtp::Mailbox;
use thiserror::Error;

use crate::certificate::CertificateError;
use crate::password::PasswordError;

/// The exit status of a command that was called in a wrong way, as clap has it.
const WRONG_USAGE: u8 = 2;

const REACH: &str = "check that Postgres runs there and that the URL is right";

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("no database is given")]
    NoDatabase,
    #[error(transparent)]
    Environment(#[from] service::config::ConfigError),
    #[error(transparent)]
    Locate(#[from] LocateError),
    #[error(transparent)]
    ConnectDirectory(#[from] directory::ConnectError),
    #[error(transparent)]
    ConnectQueue(#[from] ::queue::ConnectError),
    #[error(transparent)]
    MigrateDirectory(#[from] MigrateError),
    #[error(transparent)]
    MigrateQueue(#[from] MigrationError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Change(#[from] ChangeError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("`queue {0}` needs to be told what")]
    NothingChosen(&'static str),
    #[error("there is no alias {0}")]
    NoSuchAlias(Mailbox),
    #[error("neither the queue nor the journal knows {0}")]
    NoSuchMessage(QueueId),
    #[error("neither the queue nor the journal knows anything of {0}")]
    NothingTraced(String),
    #[error("{} tells no service by its name", .0.display())]
    WhichService(PathBuf),
    #[error("no configuration tells the name of a relay")]
    NoRelayNamed,
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("{}", found(*.0))]
    Problems(usize),
    #[error("can't write the output")]
    Output(#[source] io::Error),
    #[error("can't start")]
    Runtime(#[source] io::Error),
}

impl Failure {
    /// Tells the failure on standard error, and the exit status.
    pub(crate) fn report(&self) -> ExitCode {
        if matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            // Whoever reads has read enough.
            return ExitCode::SUCCESS;
        }
        eprintln!("chasqui: {}", self.line());
        match self {
            Self::NoDatabase | Self::NothingChosen(_) | Self::WhichService(_) => {
                ExitCode::from(WRONG_USAGE)
            }
            _ => ExitCode::FAILURE,
        }
    }

    fn line(&self) -> String {
        let mut line = service::one_line(self);
        if let Some(remedy) = self.remedy() {
            line.push_str("; ");
            line.push_str(remedy);
        }
        // Postgres may add lines of its own.
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// What to do, where the error itself doesn't say.
    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NoDatabase => Some(
                "give --database-url URL, or --state DIR of a running `chasqui dev`, or set DATABASE_URL",
            ),
            Self::Locate(LocateError::Unreadable { .. }) => {
                Some("give the --state of a `chasqui dev`, as the user who started it")
            }
            Self::ConnectDirectory(directory::ConnectError::Unreachable(_))
            | Self::MigrateDirectory(MigrateError::Connect(
                directory::ConnectError::Unreachable(_),
            ))
            | Self::ConnectQueue(::queue::ConnectError::Unreachable(_))
            | Self::MigrateQueue(MigrationError::Connect(_)) => Some(REACH),
            Self::Change(ChangeError::NoSuchDomain(_)) => Some("`chasqui domain add` does"),
            Self::Change(ChangeError::AccountExists(_)) => {
                Some("`chasqui account passwd` changes its password")
            }
            Self::Change(ChangeError::NoSuchAccount(_)) => {
                Some("`chasqui account list` shows which there are")
            }
            Self::NothingChosen(_) => {
                Some("give queue ids or filters (see --help), or --all for all mail")
            }
            Self::NoRelayNamed => Some("give --config of a relay, or --mx NAME"),
            Self::WhichService(_) => Some("give --service submission, relay or delivery"),
            Self::NothingTraced(_) => {
                Some("--since 7d looks further back than a day, as far as the journal is kept")
            }
            Self::NoSuchAlias(_) => Some("`chasqui alias list` shows which there are"),
            Self::Queue(QueueError::Unavailable(_) | QueueError::Unknown(_)) => {
                Some("run the command again")
            }
            _ => None,
        }
    }
}

fn found(problems: usize) -> String {
    match problems {
        1 => "there is a problem".to_owned(),
        problems => format!("there are {problems} problems"),
    }
}
