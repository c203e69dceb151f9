//! The state folder: all that `chasqui dev` keeps, and that only one of them uses it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Keeps passwords and mail out of a repository that the folder may lie in.
const IGNORE_ALL: &str = "*\n";

/// For the owner alone.
const SECRET: u32 = 0o600;
/// For everyone to read.
const OPEN: u32 = 0o644;

/// Why the state folder cannot be used.
#[derive(Debug, Error)]
pub(crate) enum StateError {
    #[error("can't use the folder {}: choose another with --state DIR", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error(
        "{} is in use by a `chasqui dev` that is running: stop that one, or choose another folder \
         with --state DIR",
        path.display()
    )]
    InUse { path: PathBuf },
    #[error("{} is no Unicode, and can't be written into a configuration: choose another folder with --state DIR", path.display())]
    NotUnicode { path: PathBuf },
    #[error("can't {action} {}: choose a folder of your own with --state DIR", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// The state folder, ours until dropped.
#[derive(Debug)]
pub(crate) struct StateFolder {
    /// Absolute, so that it means the same from wherever it is read.
    path: String,
    /// As the user named it.
    given: PathBuf,
    /// The kernel unlocks it when we go, in whatever way.
    _lock: File,
}

impl StateFolder {
    /// Opens the folder, makes it if need be, and locks it.
    pub(crate) fn open(given: &Path) -> Result<Self, StateError> {
        let unusable = |source| StateError::Folder {
            path: given.to_owned(),
            source,
        };
        std::fs::create_dir_all(given).map_err(unusable)?;
        let path = given.canonicalize().map_err(unusable)?;
        let path = path
            .into_os_string()
            .into_string()
            .map_err(|path| StateError::NotUnicode { path: path.into() })?;
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(SECRET);
        let lock = options.open(given.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StateError::InUse {
                    path: given.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let folder = Self {
            path,
            given: given.to_owned(),
            _lock: lock,
        };
        for part in ["config", "log", "mail", "tls"] {
            let path = folder.given.join(part);
            std::fs::create_dir_all(&path).map_err(failed("make", &path))?;
        }
        folder.write(".gitignore", IGNORE_ALL)?;
        Ok(folder)
    }

    /// The absolute path of something in the folder.
    pub(crate) fn absolute(&self, part: &str) -> String {
        format!("{}/{part}", self.path)
    }

    /// The folder as the user named it.
    pub(crate) fn given(&self) -> &Path {
        &self.given
    }

    /// Something in the folder, for messages.
    pub(crate) fn shown(&self, part: &str) -> PathBuf {
        self.given.join(part)
    }

    pub(crate) fn has(&self, part: &str) -> bool {
        self.given.join(part).exists()
    }

    /// The text of a file; none if there is no such file.
    pub(crate) fn read(&self, part: &str) -> Result<Option<String>, StateError> {
        let path = self.shown(part);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Writes a file whole: whoever looks sees the old text or the new one.
    pub(crate) fn write(&self, part: &str, text: &str) -> Result<(), StateError> {
        self.replace(part, text, OPEN)
    }

    /// The same, for the owner's eyes only.
    pub(crate) fn write_secret(&self, part: &str, text: &str) -> Result<(), StateError> {
        self.replace(part, text, SECRET)
    }

    /// Removes a file; one that is not there is as good.
    pub(crate) fn remove(&self, part: &str) -> Result<(), StateError> {
        let path = self.shown(part);
        remove_if_there(&path).map_err(failed("remove", &path))
    }

    fn replace(&self, part: &str, text: &str, mode: u32) -> Result<(), StateError> {
        let path = self.shown(part);
        let draft = self.shown(&format!("{part}.new"));
        let written = remove_if_there(&draft).and_then(|()| {
            let mut options = OpenOptions::new();
            let mut file = options
                .create_new(true)
                .write(true)
                .mode(mode)
                .open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&draft, &path)
        });
        written.map_err(failed("write", &path))
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StateError + 'a {
    move |source| StateError::File {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_one_uses_a_folder() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("new/state");
        let first = StateFolder::open(&path).unwrap();
        assert!(matches!(
            StateFolder::open(&path),
            Err(StateError::InUse { .. })
        ));
        drop(first);
        StateFolder::open(&path).unwrap();
    }

    #[test]
    fn a_secret_is_for_its_owner_alone_even_where_it_was_open_before() {
        let parent = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(parent.path()).unwrap();
        assert_eq!(folder.read("credentials").unwrap(), None);
        folder.write("credentials", "old").unwrap();
        folder.write_secret("credentials", "new").unwrap();
        assert_eq!(folder.read("credentials").unwrap().unwrap(), "new");
        let metadata = std::fs::metadata(folder.shown("credentials")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_folder_is_of_no_use() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = StateFolder::open(file.path()).unwrap_err().to_string();
        assert!(
            refused.ends_with(": choose another with --state DIR"),
            "{refused}"
        );
    }
}
