//! Maildir: one file a message, never seen half written, never lost once acknowledged.
//!
//! A [`Deposit`] is written to `tmp`, synced, renamed into `new`, and the folder is synced; only
//! then is it answered. Concurrent deposits share the syncs: see `writer`.

mod durable;
mod file_name;
mod folder;
mod sweep;
mod writer;

use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use directory::AccountName;
use nix::unistd::{AccessFlags, access};
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::timeout;

pub use file_name::FileName;
pub use sweep::{Sweep, sweep};

use folder::Root;
use writer::{Job, Writer};

/// Most deposits that wait for a writer. Their content is in the caller's budget already.
const MAX_WAITING: usize = 4_096;
/// How long a deposit may take before the storage counts as out of order.
const DEPOSIT_DEADLINE: Duration = Duration::from_secs(60);

/// One copy of a message for one mailbox.
#[derive(Clone, Debug)]
pub struct Deposit {
    /// Whose mailbox.
    pub account: AccountName,
    /// The name of the copy.
    pub name: FileName,
    /// The octets, in pieces, in order.
    pub content: Vec<Bytes>,
    /// Whether an earlier attempt may have delivered this copy: then it is looked for in all of
    /// the mailbox first, which takes longer.
    pub may_be_there: bool,
}

impl Deposit {
    /// Size in octets.
    fn size(&self) -> u64 {
        self.content.iter().map(|piece| piece.len() as u64).sum()
    }
}

/// The copy is in the mailbox, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deposited {
    /// Now.
    Written,
    /// An earlier attempt had put it there.
    AlreadyThere,
}

/// The copy is not known to be in the mailbox. Always passing.
#[derive(Debug, Error)]
pub enum DepositError {
    /// The filesystem refused.
    #[error("cannot {step}")]
    Io {
        /// What was being done.
        step: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// More deposits wait than the storage takes in.
    #[error("too many deliveries wait for the storage")]
    Overloaded,
    /// The storage has not answered for a minute.
    #[error("the storage does not answer")]
    TooSlow,
    /// The writers are gone.
    #[error("the storage is being shut down")]
    Stopped,
}

/// The folder for mail cannot be used.
#[derive(Debug, Error)]
pub enum RootError {
    /// The folder is not there and cannot be made.
    #[error("cannot make the folder for mail {}", path.display())]
    Make {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The folder is there but of no use.
    #[error("cannot write to the folder for mail {}", path.display())]
    Use {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// All mailboxes under one folder. Clones share the writers, which end with the last clone.
#[derive(Clone, Debug)]
pub struct Maildir {
    waiting: SyncSender<Job>,
}

impl Maildir {
    /// Opens the folder that holds all mailboxes, makes it if need be, and starts the writers.
    ///
    /// # Errors
    /// [`RootError`].
    pub fn open(path: &Path, writers: usize) -> Result<Self, RootError> {
        let use_error = |source| RootError::Use {
            path: path.to_owned(),
            source,
        };
        make_root(path)?;
        let root = Root::open(path).map_err(use_error)?;
        let root = Arc::new(root);
        let (waiting, jobs) = sync_channel(MAX_WAITING);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..writers.max(1) {
            let writer = Writer::new(Arc::clone(&root), Arc::clone(&jobs));
            std::thread::Builder::new()
                .name(format!("maildir-{number}"))
                .spawn(move || writer.run())
                .map_err(use_error)?;
        }
        Ok(Self { waiting })
    }

    /// Puts a copy into its mailbox. When this returns, it is durable. A caller that gives up does
    /// not undo it.
    ///
    /// # Errors
    /// [`DepositError`].
    pub async fn deposit(&self, deposit: Deposit) -> Result<Deposited, DepositError> {
        let (answer, answered) = oneshot::channel();
        let job = Job { deposit, answer };
        self.waiting.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => DepositError::Overloaded,
            TrySendError::Disconnected(_) => DepositError::Stopped,
        })?;
        match timeout(DEPOSIT_DEADLINE, answered).await {
            Ok(Ok(deposited)) => deposited,
            Ok(Err(_gone)) => Err(DepositError::Stopped),
            Err(_elapsed) => Err(DepositError::TooSlow),
        }
    }
}

fn make_root(path: &Path) -> Result<(), RootError> {
    let make_error = |source| RootError::Make {
        path: path.to_owned(),
        source,
    };
    if !path.exists() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(make_error)?;
        sync_parents(path).map_err(make_error)?;
    }
    access(path, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|errno| RootError::Use {
        path: path.to_owned(),
        source: errno.into(),
    })
}

/// A folder is there after a crash only if the folders above it were synced.
fn sync_parents(path: &Path) -> io::Result<()> {
    let path = path.canonicalize()?;
    for parent in path.ancestors().skip(1) {
        match File::open(parent).and_then(|folder| folder.sync_all()) {
            // One that we may not read is not one that we made.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            synced => synced?,
        }
    }
    Ok(())
}
