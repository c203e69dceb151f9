//! Where a measurement keeps its files, and the ports that it gives out.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context as _, Result, ensure};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use tempfile::TempDir;

/// Below the ports that systems give to clients, of which one might sit on a server's port.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;

/// A folder on a real disk, gone with the measurement.
#[derive(Debug)]
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    /// A new folder within `parent`, which unprivileged servers can reach.
    ///
    /// # Errors
    /// When it can't be made, or lies in memory: there, a sync costs nothing.
    pub(crate) fn within(parent: &Path) -> Result<Self> {
        std::fs::create_dir_all(parent)
            .with_context(|| format!("can't make the folder {}", parent.display()))?;
        let kind = statfs(parent)
            .with_context(|| format!("can't look at the file system of {}", parent.display()))?;
        ensure!(
            kind.filesystem_type() != TMPFS_MAGIC,
            "{} lies in memory (tmpfs), where durability costs nothing: name a folder on a disk with --folder",
            parent.display()
        );
        let folder = tempfile::Builder::new()
            .prefix("chasqui-bench-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir_in(parent)
            .with_context(|| format!("can't make a folder in {}", parent.display()))?;
        Ok(Self { folder })
    }

    /// A new folder in it, which everybody can reach.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("can't make {}", folder.display()))?;
        Ok(folder)
    }
}

/// An address on 127.0.0.1 that nobody listens on, given out once.
pub(crate) fn free_address() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % u32::from(PORTS)) as u16;
    for _ in 0..PORTS {
        let place = (start + NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST_PORT + place));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    anyhow::bail!(
        "no free port between {FIRST_PORT} and {}",
        FIRST_PORT + PORTS
    )
}
