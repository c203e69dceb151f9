//! Getting files and folders onto the disk, many at a time.

use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;

use nix::libc::dev_t;
use nix::unistd::fsync;

/// So many are synced one by one; more on one filesystem, with one call for all. A `syncfs` waits
/// for whatever else is dirty there, so it has to be worth it.
const ONE_BY_ONE: usize = 2;

/// Something to be made durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsynced<'a> {
    /// A file or a folder.
    pub(super) descriptor: BorrowedFd<'a>,
    /// The filesystem it lies on (`st_dev`).
    pub(super) filesystem: dev_t,
}

/// Makes everything durable, and says of each whether that worked, in order.
pub(super) fn sync(all: &[Unsynced<'_>]) -> Vec<io::Result<()>> {
    let mut filesystems: HashMap<dev_t, Filesystem<'_>> = HashMap::new();
    for one in all {
        filesystems
            .entry(one.filesystem)
            .or_insert(Filesystem {
                descriptor: one.descriptor,
                unsynced: 0,
                is_synced: false,
            })
            .unsynced += 1;
    }
    for filesystem in filesystems.values_mut() {
        filesystem.is_synced =
            filesystem.unsynced > ONE_BY_ONE && sync_filesystem(filesystem.descriptor);
    }
    all.iter()
        .map(|one| match filesystems.get(&one.filesystem) {
            Some(filesystem) if filesystem.is_synced => Ok(()),
            _ => Ok(fsync(one.descriptor)?),
        })
        .collect()
}

struct Filesystem<'a> {
    descriptor: BorrowedFd<'a>,
    unsynced: usize,
    is_synced: bool,
}

/// Whether the whole filesystem could be synced. If not, `fsync` tells whose fault it is. (Linux
/// reports failed writes here since 5.8.)
#[cfg(target_os = "linux")]
fn sync_filesystem(descriptor: BorrowedFd<'_>) -> bool {
    nix::unistd::syncfs(descriptor).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn sync_filesystem(_descriptor: BorrowedFd<'_>) -> bool {
    false
}
