//! The folder of a cluster: where it is, whose it is, and that no one else uses it.
//!
//! It holds `data` (Postgres' own), `password`, `port` (of the last start) and `log`, and belongs to
//! the user that Postgres runs as. Our lock is on the folder itself.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::account::Account;
use crate::config::Place;
use crate::error::StartError;
use crate::pid_file::wait_until;

/// The cluster's folder, or a link to it, within the state folder.
const ENTRY: &str = "postgres";
/// A set-up goes on for a moment when its owner is killed, and holds our lock until it ends.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);
/// Where clusters go that the unprivileged user can't reach under the state folder.
const ELSEWHERE: &str = "/var/lib/chasqui";

/// A cluster's folder, held for us alone until dropped.
#[derive(Debug)]
pub(crate) struct Cluster {
    folder: PathBuf,
    temporary: bool,
    account: Account,
    /// Locked; the kernel unlocks it when we go, in whatever way.
    lock: File,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.temporary {
            // The supervisor has removed it, unless the server had been stopped or killed before.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

impl Cluster {
    /// Finds the cluster's folder, or makes an empty one.
    pub(crate) fn open(place: &Place) -> Result<Self, StartError> {
        let folder = match place {
            Place::Kept(state) => kept(state)?,
            Place::Temporary => make_temporary()?,
        };
        Ok(Self {
            temporary: *place == Place::Temporary,
            account: Account::owning(&folder)?,
            lock: lock(&folder)?,
            folder,
        })
    }

    /// The lock for a program that must finish before another owner may begin.
    pub(crate) fn share_lock(&self) -> Result<File, StartError> {
        self.lock
            .try_clone()
            .map_err(StartError::folder("lock", &self.folder))
    }

    /// Whom the cluster belongs to.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn is_temporary(&self) -> bool {
        self.temporary
    }

    /// Postgres' data folder.
    pub(crate) fn data(&self) -> PathBuf {
        data_in(&self.folder)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The superuser's password, which set-up generated.
    pub(crate) fn password(&self) -> Result<String, StartError> {
        let path = password_in(&self.folder);
        std::fs::read_to_string(&path).map_err(StartError::folder("read", &path))
    }

    /// The port of the last start.
    pub(crate) fn last_port(&self) -> Option<u16> {
        let text = std::fs::read_to_string(self.folder.join("port")).ok()?;
        text.trim().parse().ok()
    }

    /// Makes new names in the folder survive a power failure.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

/// A kept cluster's folder, or a link to it.
pub(crate) fn entry_in(state: &Path) -> PathBuf {
    state.join(ENTRY)
}

pub(crate) fn data_in(folder: &Path) -> PathBuf {
    folder.join("data")
}

pub(crate) fn password_in(folder: &Path) -> PathBuf {
    folder.join("password")
}

fn lock(folder: &Path) -> Result<File, StartError> {
    let file = File::open(folder).map_err(StartError::folder("open", folder))?;
    let mut result = file.try_lock();
    wait_until(LOCK_TIMEOUT, || {
        result = file.try_lock();
        !matches!(result, Err(TryLockError::WouldBlock))
    });
    match result {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse {
            path: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(StartError::folder("lock", folder)(source)),
    }
}

fn kept(state: &Path) -> Result<PathBuf, StartError> {
    std::fs::create_dir_all(state).map_err(StartError::folder("create", state))?;
    // Postgres and our scripts run elsewhere, where a relative path would mean another folder.
    let state = &state
        .canonicalize()
        .map_err(StartError::folder("read", state))?;
    let entry = entry_in(state);
    match std::fs::metadata(&entry) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_kept(state, &entry)?,
        Err(error) => return Err(StartError::folder("read", &entry)(error)),
    }
    let folder = entry
        .canonicalize()
        .map_err(StartError::folder("read", &entry))?;
    let account = Account::owning(&folder)?;
    if account.can_reach(&folder) {
        Ok(folder)
    } else {
        Err(StartError::Unreachable {
            path: folder,
            user: account.describe(),
        })
    }
}

/// Makes the folder under `state`, or elsewhere and a link to it. It is named last, so that a start
/// that is cut short leaves nothing half made.
fn make_kept(state: &Path, entry: &Path) -> Result<(), StartError> {
    let account = Account::for_new_cluster()?;
    if entry.is_symlink() {
        // Its target is gone, and the data with it.
        std::fs::remove_file(entry).map_err(StartError::folder("replace", entry))?;
    }
    if account.can_reach(state) {
        let folder = make_folder(state, &account)?;
        std::fs::rename(&folder, entry).map_err(StartError::folder("create", entry))?;
    } else {
        let elsewhere = Path::new(ELSEWHERE);
        std::fs::create_dir_all(elsewhere).map_err(StartError::folder("create", elsewhere))?;
        let folder = make_folder(elsewhere, &account)?;
        symlink(&folder, entry).map_err(StartError::folder("create", entry))?;
    }
    File::open(state)
        .and_then(|folder| folder.sync_all())
        .map_err(StartError::folder("sync", state))
}

fn make_temporary() -> Result<PathBuf, StartError> {
    let account = Account::for_new_cluster()?;
    let parents = [std::env::temp_dir(), PathBuf::from("/tmp")];
    let reachable = parents.iter().find(|parent| account.can_reach(parent));
    let [first, _] = &parents;
    let parent = reachable.ok_or_else(|| StartError::Unreachable {
        path: first.clone(),
        user: account.describe(),
    })?;
    make_folder(parent, &account)
}

/// A new folder of a unique name, private to `account`.
fn make_folder(parent: &Path, account: &Account) -> Result<PathBuf, StartError> {
    let folder = parent.join(format!("postgres-{:016x}", rand::random::<u64>()));
    DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .and_then(|()| account.take_over(&folder))
        .map_err(StartError::folder("create", &folder))?;
    Ok(folder)
}
