//! Sweeping up what deliveries that were cut short have left in `tmp`.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::dir::Dir;
use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::folder::{Root, is_file, open_folder, read_folder};

/// A file in `tmp` that is older was given up, by Maildir's own rule.
const LEFTOVER_AGE: Duration = Duration::from_secs(36 * 60 * 60);

/// What a sweep has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Mailboxes looked at.
    pub mailboxes: u64,
    /// Files removed.
    pub removed: u64,
}

/// Goes through all mailboxes under `root` and removes files older than 36 hours from their
/// `tmp`. Mailboxes that cannot be read are passed over. Blocks.
///
/// # Errors
/// When `root` itself cannot be read.
pub fn sweep(root: &Path, now: SystemTime) -> io::Result<Sweep> {
    let root = Root::open(root)?;
    let oldest_kept = now - LEFTOVER_AGE;
    let mut swept = Sweep::default();
    for domain in folders_in(read_folder(root.as_folder(), ".")?) {
        let Ok(domain) = open_folder(root.as_folder(), domain.as_str()) else {
            continue;
        };
        let Ok(accounts) = read_folder(&domain, ".") else {
            continue;
        };
        for account in folders_in(accounts) {
            swept.mailboxes += 1;
            swept.removed += sweep_mailbox(&domain, &account, oldest_kept).unwrap_or(0);
        }
    }
    Ok(swept)
}

fn sweep_mailbox(domain: &OwnedFd, account: &str, oldest_kept: SystemTime) -> io::Result<u64> {
    let account = open_folder(domain, account)?;
    let tmp = open_folder(&account, "tmp")?;
    let mut removed = 0;
    for entry in read_folder(&tmp, ".")?.iter() {
        let entry = entry?;
        let name = entry.file_name();
        let status = fstatat(&tmp, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if is_file(&status) && time_of(status.st_mtime) < oldest_kept {
            unlinkat(&tmp, name, UnlinkatFlags::NoRemoveDir)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The names that can be ours: none of them starts with a dot, and all are ASCII.
fn folders_in(mut folder: Dir) -> Vec<String> {
    folder
        .iter()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str().ok()?.to_owned()))
        .filter(|name| !name.starts_with('.'))
        .collect()
}

fn time_of(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
