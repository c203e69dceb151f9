//! Small volumes that can be filled. They lie in memory, which is as good as a disk for being full.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::unistd::Uid;

/// What fills a volume.
const FILLER: &str = "filler";

/// A file system of its own, unmounted when dropped.
#[derive(Debug)]
pub(super) struct Volume {
    folder: PathBuf,
}

impl Volume {
    /// Mounts one at a folder, which is made.
    pub(super) fn mount(folder: &Path, mebibytes: u64) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("can't make {}", folder.display()))?;
        ensure!(Uid::effective().is_root(), "only root may mount");
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={mebibytes}m,mode=0755"))
            .arg("chasqui-soak")
            .arg(folder)
            .stdin(Stdio::null())
            .output()
            .context("can't run mount")?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Fills it to the last octet.
    pub(super) fn fill(&self) -> Result<()> {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join(FILLER))?;
        // Large pieces first; then what is left between them.
        for piece in [1 << 20, 4 << 10, 1] {
            let zeros = vec![0; piece];
            loop {
                match file.write(&zeros) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("can't fill a volume"),
                }
            }
        }
        Ok(())
    }

    /// Gives the space back.
    pub(super) fn free(&self) -> Result<()> {
        match std::fs::remove_file(self.folder.join(FILLER)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).context("can't free a volume")
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazily, since a server that is being killed may still hold a file.
        let unmounted = Command::new("umount")
            .arg("-l")
            .arg(&self.folder)
            .stdin(Stdio::null())
            .status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!(
                "{} is still mounted: umount it by hand",
                self.folder.display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_volume_takes_nothing_until_it_is_freed() {
        let parent = tempfile::tempdir().unwrap();
        let Ok(volume) = Volume::mount(&parent.path().join("volume"), 1) else {
            // Not root, or not allowed to even so.
            return;
        };
        let file = volume.folder().join("file");
        volume.fill().unwrap();
        assert!(std::fs::write(&file, "x").is_err());
        volume.free().unwrap();
        std::fs::write(&file, "x").unwrap();
        let folder = volume.folder().to_owned();
        drop(volume);
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
    }
}
