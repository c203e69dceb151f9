//! The folders of mailboxes, reached from one descriptor to the next.
//!
//! Invariant: below the root no symbolic link is followed, and names come from
//! [`AccountName`], so nothing outside the root can be reached.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use directory::AccountName;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::libc::dev_t;
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::fsync;

use super::file_name::FileName;

const OPEN_FOLDER: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);
/// Mail is private.
const FOLDER_MODE: Mode = Mode::S_IRWXU;

/// The folder that holds all mailboxes: `<root>/<domain>/<local-part>/{tmp,new,cur}`.
#[derive(Debug)]
pub(super) struct Root(OwnedFd);

impl Root {
    /// Opens the folder. The root itself may be a symbolic link.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let follow = OPEN_FOLDER.difference(OFlag::O_NOFOLLOW);
        Ok(Self(nix::fcntl::open(path, follow, Mode::empty())?))
    }

    /// The mailbox of an account, made if it is not there.
    pub(super) fn mailbox(&self, account: &AccountName) -> io::Result<Folder> {
        let domain = open_or_make(&self.0, account.domain().as_str())?;
        let home = open_or_make(&domain, account.local_part())?;
        let tmp = open_tmp(&home)?;
        let new = open_or_make(&home, "new")?;
        let filesystem = fstat(&tmp)?.st_dev;
        Ok(Folder {
            home,
            tmp,
            new,
            filesystem,
        })
    }

    /// For walking through all mailboxes.
    pub(super) fn as_folder(&self) -> &OwnedFd {
        &self.0
    }
}

/// An open mailbox.
#[derive(Debug)]
pub(super) struct Folder {
    home: OwnedFd,
    pub(super) tmp: OwnedFd,
    pub(super) new: OwnedFd,
    /// Which filesystem it lies on.
    pub(super) filesystem: dev_t,
}

impl Folder {
    /// Whether `new` has a file of that name and size.
    pub(super) fn has_in_new(&self, name: &str, size: u64) -> io::Result<bool> {
        match fstatat(&self.new, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(status) => Ok(is_file(&status) && u64::try_from(status.st_size) == Ok(size)),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether `new` or `cur` has this copy under any name: with flags, say. Reads both folders.
    pub(super) fn has_anywhere(&self, name: &FileName) -> io::Result<bool> {
        for folder in ["new", "cur"] {
            let mut entries = read_folder(&self.home, folder)?;
            for entry in entries.iter() {
                if name.is_of(entry?.file_name().to_bytes()) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// Whether it is a regular file, and not a link, say.
pub(super) fn is_file(status: &FileStat) -> bool {
    SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
}

/// Opens a folder that must be there.
pub(super) fn open_folder(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    Ok(openat(parent, name, OPEN_FOLDER, Mode::empty())?)
}

/// Opens a folder to read its entries.
pub(super) fn read_folder(parent: &OwnedFd, name: &str) -> io::Result<Dir> {
    Ok(Dir::openat(parent, name, OPEN_FOLDER, Mode::empty())?)
}

/// `tmp` is made last: where it is, `cur` is too, and need not be looked for.
fn open_tmp(home: &OwnedFd) -> io::Result<OwnedFd> {
    match openat(home, "tmp", OPEN_FOLDER, Mode::empty()) {
        Err(Errno::ENOENT) => {
            drop(open_or_make(home, "cur")?);
            open_or_make(home, "tmp")
        }
        opened => Ok(opened?),
    }
}

/// Opens a folder; makes it first, durably, if it is not there.
fn open_or_make(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    match openat(parent, name, OPEN_FOLDER, Mode::empty()) {
        Err(Errno::ENOENT) => {}
        opened => return Ok(opened?),
    }
    match mkdirat(parent, name, FOLDER_MODE) {
        // Another delivery was faster.
        Ok(()) | Err(Errno::EEXIST) => fsync(parent.as_fd())?,
        Err(errno) => return Err(errno.into()),
    }
    Ok(openat(parent, name, OPEN_FOLDER, Mode::empty())?)
}
