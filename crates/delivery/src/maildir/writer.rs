//! Writers: threads that put deposits into mailboxes, all that wait at a time.
//!
//! While a writer waits for the disk, the next batch gathers, so a busy system pays two rounds of
//! syncing for many files, and an idle one delivers at once. Two writers keep one of them writing
//! while the other waits.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use directory::AccountName;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use tokio::sync::oneshot;
use tracing::warn;

use super::durable::{self, Unsynced};
use super::folder::{Folder, Root};
use super::{Deposit, DepositError, Deposited};

/// Most deposits of a batch; each holds a file open, and perhaps a mailbox of its own.
const MAX_BATCH: usize = 64;
/// A batch that has so many octets is not added to.
const FULL_BATCH: u64 = 8 << 20;

const NEW_FILE: OFlag = OFlag::O_WRONLY
    .union(OFlag::O_CREAT)
    .union(OFlag::O_EXCL)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);
/// Mail is private.
const FILE_MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

/// A deposit, and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) deposit: Deposit,
    pub(super) answer: oneshot::Sender<Result<Deposited, DepositError>>,
}

/// One thread's work.
pub(super) struct Writer {
    root: Arc<Root>,
    waiting: Arc<Mutex<Receiver<Job>>>,
}

impl Writer {
    pub(super) fn new(root: Arc<Root>, waiting: Arc<Mutex<Receiver<Job>>>) -> Self {
        Self { root, waiting }
    }

    /// Works until nobody can send jobs any more.
    pub(super) fn run(self) {
        while let Some(jobs) = self.next_batch() {
            Batch::write(&self.root, jobs)
                .sync()
                .rename()
                .sync_folders()
                .answer();
        }
    }

    /// Waits for a job and takes what else waits. The lock is held meanwhile: the other writers
    /// have nothing to do either.
    fn next_batch(&self) -> Option<Vec<Job>> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let first = waiting.recv().ok()?;
        let mut size = first.deposit.size();
        let mut batch = vec![first];
        while batch.len() < MAX_BATCH && size < FULL_BATCH {
            let Ok(next) = waiting.try_recv() else { break };
            size += next.deposit.size();
            batch.push(next);
        }
        Some(batch)
    }
}

/// Deposits that go through the same steps together; those that fail drop out on the way.
struct Batch {
    items: Vec<Item>,
}

struct Item {
    account: AccountName,
    answer: oneshot::Sender<Result<Deposited, DepositError>>,
    folder: Rc<Folder>,
    state: State,
}

enum State {
    /// In `tmp`, and to be renamed to that name in `new`.
    Written(TmpFile, String),
    /// In `new`, but the folder may not be synced.
    InNew(Deposited),
}

impl Batch {
    /// Step 1: to `tmp`.
    fn write(root: &Root, jobs: Vec<Job>) -> Self {
        let mut folders = HashMap::new();
        let mut items = Vec::with_capacity(jobs.len());
        for Job { deposit, answer } in jobs {
            // Nobody waits any more: the message will be tried again.
            if answer.is_closed() {
                continue;
            }
            match place(root, &mut folders, &deposit) {
                Ok((folder, state)) => items.push(Item {
                    account: deposit.account,
                    answer,
                    folder,
                    state,
                }),
                Err(error) => refuse(&deposit.account, answer, error),
            }
        }
        Self { items }
    }

    /// Step 2: the files onto the disk.
    fn sync(self) -> Self {
        let files: Vec<Unsynced<'_>> = self
            .items
            .iter()
            .filter_map(|item| match &item.state {
                State::Written(tmp, _) => Some(Unsynced {
                    descriptor: tmp.file.as_fd(),
                    filesystem: item.folder.filesystem,
                }),
                State::InNew(_) => None,
            })
            .collect();
        let mut synced = durable::sync(&files).into_iter();
        drop(files);
        self.keep("sync the message", |item| match item.state {
            State::Written(..) => synced.next().unwrap_or(Ok(())),
            State::InNew(_) => Ok(()),
        })
    }

    /// Step 3: into `new`.
    fn rename(self) -> Self {
        self.keep("move the message into the mailbox", |item| {
            if let State::Written(tmp, name) = &mut item.state {
                tmp.rename(name)?;
                item.state = State::InNew(Deposited::Written);
            }
            Ok(())
        })
    }

    /// Step 4: the folders onto the disk, each of them once. What had been there needs it too: an
    /// earlier attempt may have failed at this very step.
    fn sync_folders(self) -> Self {
        let mut positions: HashMap<*const Folder, usize> = HashMap::new();
        let mut folders: Vec<Unsynced<'_>> = Vec::new();
        for item in &self.items {
            positions
                .entry(Rc::as_ptr(&item.folder))
                .or_insert_with(|| {
                    folders.push(Unsynced {
                        descriptor: item.folder.new.as_fd(),
                        filesystem: item.folder.filesystem,
                    });
                    folders.len() - 1
                });
        }
        let synced = durable::sync(&folders);
        drop(folders);
        self.keep("sync the mailbox", |item| {
            let position = positions.get(&Rc::as_ptr(&item.folder));
            match position.and_then(|position| synced.get(*position)) {
                Some(Err(error)) => Err(copy_of(error)),
                _ => Ok(()),
            }
        })
    }

    /// Step 5.
    fn answer(self) {
        for item in self.items {
            if let State::InNew(deposited) = item.state {
                // Whoever waited may have given up; the next attempt finds the copy.
                let _ = item.answer.send(Ok(deposited));
            }
        }
    }

    /// Keeps the items for which a step succeeds, and answers the others.
    fn keep(
        self,
        step: &'static str,
        mut attempt: impl FnMut(&mut Item) -> io::Result<()>,
    ) -> Self {
        let mut items = Vec::with_capacity(self.items.len());
        for mut item in self.items {
            match attempt(&mut item) {
                Ok(()) => items.push(item),
                Err(source) => {
                    refuse(
                        &item.account,
                        item.answer,
                        DepositError::Io { step, source },
                    );
                }
            }
        }
        Self { items }
    }
}

fn refuse(
    account: &AccountName,
    answer: oneshot::Sender<Result<Deposited, DepositError>>,
    error: DepositError,
) {
    warn!(%account, error = service::one_line(&error), "mail cannot be put into a mailbox");
    // Whoever waited may have given up.
    let _ = answer.send(Err(error));
}

/// Errors cannot be cloned, but several deposits may share one.
fn copy_of(error: &io::Error) -> io::Error {
    error
        .raw_os_error()
        .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// Opens the mailbox, and writes the copy to its `tmp` unless it is there already.
fn place(
    root: &Root,
    folders: &mut HashMap<AccountName, Rc<Folder>>,
    deposit: &Deposit,
) -> Result<(Rc<Folder>, State), DepositError> {
    let at = |step| move |source| DepositError::Io { step, source };
    let folder = match folders.get(&deposit.account) {
        Some(folder) => Rc::clone(folder),
        None => {
            let folder = root
                .mailbox(&deposit.account)
                .map_err(at("open the mailbox"))?;
            let folder = Rc::new(folder);
            folders.insert(deposit.account.clone(), Rc::clone(&folder));
            folder
        }
    };
    if is_there(&folder, deposit).map_err(at("look into the mailbox"))? {
        return Ok((folder, State::InNew(Deposited::AlreadyThere)));
    }
    let tmp = TmpFile::write(&folder, deposit).map_err(at("write the message"))?;
    let name = deposit.name.in_new(deposit.size());
    Ok((folder, State::Written(tmp, name)))
}

fn is_there(folder: &Folder, deposit: &Deposit) -> io::Result<bool> {
    let size = deposit.size();
    Ok(folder.has_in_new(&deposit.name.in_new(size), size)?
        || (deposit.may_be_there && folder.has_anywhere(&deposit.name)?))
}

/// A file in `tmp`, which goes away unless it is renamed.
struct TmpFile {
    folder: Rc<Folder>,
    name: String,
    file: File,
    is_renamed: bool,
}

impl TmpFile {
    fn write(folder: &Rc<Folder>, deposit: &Deposit) -> io::Result<Self> {
        let name = deposit.name.in_tmp();
        let file = openat(&folder.tmp, name.as_str(), NEW_FILE, FILE_MODE)?;
        let mut tmp = Self {
            folder: Rc::clone(folder),
            name,
            file: File::from(file),
            is_renamed: false,
        };
        for piece in &deposit.content {
            tmp.file.write_all(piece)?;
        }
        Ok(tmp)
    }

    fn rename(&mut self, name: &str) -> io::Result<()> {
        let Folder { tmp, new, .. } = &*self.folder;
        renameat(tmp, self.name.as_str(), new, name)?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Drop for TmpFile {
    fn drop(&mut self) {
        if !self.is_renamed {
            // What stays behind is swept up later.
            let _ = unlinkat(
                &self.folder.tmp,
                self.name.as_str(),
                UnlinkatFlags::NoRemoveDir,
            );
        }
    }
}
