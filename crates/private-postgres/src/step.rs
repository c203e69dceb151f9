//! Progress, for an owner that shows it.

use std::fmt;
use std::path::PathBuf;

/// What a start is doing now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// These programs will be used.
    Found {
        /// As Postgres tells it, such as `15.8`.
        version: String,
        /// Where `postgres` and `initdb` are.
        folder: PathBuf,
    },
    /// A new cluster is being made.
    SettingUp {
        /// Where its files go.
        folder: PathBuf,
        /// The system user that it runs as, when that is not the caller.
        user: Option<String>,
    },
    /// A server that an earlier owner left behind is being stopped.
    StoppingLeftover {
        /// Its process id.
        pid: i32,
    },
    /// The server is starting; after a crash this includes recovery.
    Starting {
        /// The TCP port on 127.0.0.1.
        port: u16,
    },
    /// It accepts connections.
    Ready,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found { version, folder } => {
                write!(f, "found Postgres {version} in {}", folder.display())
            }
            Self::SettingUp { folder, user: None } => {
                write!(f, "setting up a database in {}", folder.display())
            }
            Self::SettingUp {
                folder,
                user: Some(user),
            } => write!(
                f,
                "setting up a database in {}, run as user {user}",
                folder.display()
            ),
            Self::StoppingLeftover { pid } => {
                write!(
                    f,
                    "stopping a Postgres that was left behind (process {pid})"
                )
            }
            Self::Starting { port } => write!(f, "starting Postgres on 127.0.0.1:{port}"),
            Self::Ready => write!(f, "Postgres is ready"),
        }
    }
}
