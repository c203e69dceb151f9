//! Why there is no Postgres, in one line with the remedy.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

/// Why a private Postgres did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// No installation was found.
    #[error(
        "no Postgres on this machine (looked in PATH, pg_config and the usual folders): install the package \
         `postgresql` (Debian, Ubuntu), `postgresql-server` (Fedora) or `postgresql@17` (Homebrew on macOS)"
    )]
    NotInstalled,
    /// Only installations that are too old were found.
    #[error("Postgres {found} in {} is too old: install version {minimum} or newer", folder.display())]
    TooOld {
        /// Its version.
        found: String,
        /// Where it is.
        folder: PathBuf,
        /// The oldest major version that will do.
        minimum: u32,
    },
    /// The cluster was made by a major version that is not installed.
    #[error(
        "{} was made by Postgres {needed}, which is not installed: install it, or move that folder away",
        data.display()
    )]
    OtherVersion {
        /// The data folder.
        data: PathBuf,
        /// The major version that made it.
        needed: u32,
    },
    /// We are root, Postgres refuses root, and there is nobody to run it as.
    #[error(
        "Postgres refuses to run as root, and there is no user `postgres` or `nobody` to run it as: add one"
    )]
    NoUnprivilegedUser,
    /// A folder or file can't be made, read or changed.
    #[error("can't {action} {}: choose a folder that is writable", path.display())]
    Folder {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The user that Postgres runs as can't walk into the cluster's folder.
    #[error("user {user} can't reach {}: let others pass its parent folders (chmod o+x)", path.display())]
    Unreachable {
        /// The cluster's folder.
        path: PathBuf,
        /// The user.
        user: String,
    },
    /// The cluster's folder belongs to another user than us.
    #[error(
        "{} belongs to another user: start as the user who set it up, or choose another folder",
        path.display()
    )]
    NotOurs {
        /// The cluster's folder.
        path: PathBuf,
    },
    /// Another living owner holds the cluster.
    #[error("{} is in use by another running process: stop that one, or choose another folder", path.display())]
    InUse {
        /// The cluster's folder.
        path: PathBuf,
    },
    /// The port that was asked for is taken.
    #[error("port {port} on 127.0.0.1 is in use: stop what listens there, or choose another port")]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// A program could not be run at all.
    #[error("can't run {program}")]
    Spawn {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The cluster could not be made.
    #[error("setting up Postgres failed: {detail} (see {})", log.display())]
    SetUp {
        /// What Postgres said last.
        detail: String,
        /// The whole story.
        log: PathBuf,
    },
    /// The server ended instead of starting.
    #[error("Postgres did not start: {detail} (see {})", log.display())]
    Server {
        /// What Postgres said last.
        detail: String,
        /// The whole story.
        log: PathBuf,
    },
    /// The server did not get ready in time.
    #[error("Postgres was not ready after {} s: {detail} (see {})", after.as_secs(), log.display())]
    Timeout {
        /// How long we waited.
        after: Duration,
        /// What Postgres said last.
        detail: String,
        /// The whole story.
        log: PathBuf,
    },
}

impl StartError {
    /// For `map_err`: trouble with a folder or file.
    pub(crate) fn folder<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Folder {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// For `map_err`: a program that could not be run.
    pub(crate) fn spawn<'a>(program: &'a str) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Spawn {
            program: program.to_owned(),
            source,
        }
    }
}
