//! Finds a kept cluster that another process runs, for tools that connect to it.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::cluster::{data_in, entry_in, password_in};
use crate::pid_file::PidFile;
use crate::postgres::url;

/// Why a running cluster was not found.
#[derive(Debug, Error)]
pub enum LocateError {
    /// The folder holds no cluster, or we may not look into it.
    #[error("can't read {}", path.display())]
    Unreadable {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is a cluster, but no server on it.
    #[error("the Postgres of {} is not running: start its owner first", state.display())]
    NotRunning {
        /// The state folder.
        state: PathBuf,
    },
}

/// The URL of the cluster kept in `state`, which another process has started.
///
/// # Errors
/// [`LocateError`] when there is none, when it is not running, or when it belongs to another user.
pub fn url_of_running(state: &Path) -> Result<String, LocateError> {
    let folder = entry_in(state);
    let path = password_in(&folder);
    let password = match std::fs::read_to_string(&path) {
        Ok(password) => password,
        Err(source) => return Err(LocateError::Unreadable { path, source }),
    };
    // The server knows its data folder by the real path.
    let data = data_in(&folder.canonicalize().unwrap_or(folder));
    PidFile::read(&data)
        .filter(|file| file.ready && file.tells_of_a_running_server(&data))
        .and_then(|file| file.port)
        .map(|port| url(&password, port))
        .ok_or_else(|| LocateError::NotRunning {
            state: state.to_owned(),
        })
}
