//! Whether there is room for mail.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::finding::{Finding, Findings};
use crate::output::size;

/// Per cent that are left.
const LITTLE: u64 = 15;
const TOO_LITTLE: u64 = 5;

/// Looks at the folders of mailboxes. The queue has no folder: it is in Postgres.
pub(super) fn look(mail: &[PathBuf]) -> Vec<Finding> {
    let mut findings = Findings::of("disk");
    for folder in mail {
        about(folder, &mut findings);
    }
    findings.list
}

fn about(folder: &Path, findings: &mut Findings) {
    let subject = folder.display().to_string();
    let disk = match statvfs(folder) {
        Ok(disk) => disk,
        Err(error) => {
            let remedy = "make the folder, for the user that delivery runs as";
            findings.problem(subject, format!("can't be looked at: {error}"), remedy);
            return;
        }
    };
    let room = share(disk.blocks_available(), disk.blocks());
    // File systems that make inodes as they go tell of none.
    let inodes = share(disk.files_available(), disk.files());
    let left = size(disk.blocks_available().saturating_mul(disk.fragment_size()));
    let found = format!("{left} left ({room} %), {inodes} % of inodes");
    let remedy = "make room, or move mail to a larger disk: delivery defers when it is full";
    match room.min(inodes) {
        0..TOO_LITTLE => findings.problem(subject, found, remedy),
        TOO_LITTLE..LITTLE => findings.warn(subject, found, remedy),
        _ => findings.ok(subject, found),
    }
}

fn share(left: u64, all: u64) -> u64 {
    left.saturating_mul(100).checked_div(all).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_in_per_cent_and_none_counts_as_all() {
        assert_eq!(share(1, 8), 12);
        assert_eq!(share(0, 8), 0);
        assert_eq!(share(0, 0), 100);
    }

    #[test]
    fn a_folder_that_is_missing_is_a_problem() {
        let missing = PathBuf::from("/nonexistent/mail");
        let findings = look(&[missing]);
        assert_eq!(findings[0].verdict, super::super::finding::Verdict::Problem);
    }
}
