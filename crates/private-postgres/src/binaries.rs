//! Finds the Postgres that is installed on the machine.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::account::Account;
use crate::error::StartError;

/// The oldest major version whose SQL we rely on.
const MINIMUM_MAJOR: u32 = 14;

/// Where distributions put Postgres: parent folder, prefix of the versioned folder, folder below it.
const VERSIONED: [(&str, &str, &str); 8] = [
    ("/usr/lib/postgresql", "", "bin"),          // Debian, Ubuntu
    ("/usr", "pgsql-", "bin"),                   // postgresql.org's packages for Fedora and kin
    ("/usr/lib", "postgresql", "bin"),           // openSUSE
    ("/usr/libexec", "postgresql", ""),          // Alpine
    ("/opt/homebrew/opt", "postgresql@", "bin"), // Homebrew on Apple silicon
    ("/usr/local/opt", "postgresql@", "bin"),    // Homebrew on Intel
    ("/opt/local/lib", "postgresql", "bin"),     // MacPorts
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// Where it is when nobody put a version into the path.
const UNVERSIONED: [&str; 4] = [
    "/usr/local/pgsql/bin",
    "/opt/homebrew/bin",
    "/usr/local/bin",
    "/usr/bin",
];

/// An installation.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    /// Where `postgres` and `initdb` are.
    pub(crate) folder: PathBuf,
    /// As Postgres tells it, such as `15.8`.
    pub(crate) version: String,
    major: u32,
}

impl Binaries {
    /// The first installation that `account` can run and that fits: for an existing cluster the
    /// major version that made it (found in its `data` folder), else any that is new enough.
    pub(crate) fn find(account: &Account, data: &Path) -> Result<Self, StartError> {
        let needed = major_of_cluster(data);
        let mut too_old = None;
        for binaries in candidates().filter_map(|folder| Self::probe(account, folder)) {
            match needed {
                Some(major) if binaries.major == major => return Ok(binaries),
                Some(_) => {}
                None if binaries.major >= MINIMUM_MAJOR => return Ok(binaries),
                None => too_old = Some(binaries),
            }
        }
        Err(match (needed, too_old) {
            (Some(needed), _) => StartError::OtherVersion {
                data: data.to_owned(),
                needed,
            },
            (None, Some(old)) => StartError::TooOld {
                found: old.version,
                folder: old.folder,
                minimum: MINIMUM_MAJOR,
            },
            (None, None) => StartError::NotInstalled,
        })
    }

    /// Asks the programs in `folder` for their version; `None` unless both are there and run.
    fn probe(account: &Account, folder: PathBuf) -> Option<Self> {
        if !folder.join("initdb").is_file() {
            return None;
        }
        let output = account
            .command(folder.join("postgres"))
            .arg("--version")
            .stdout(Stdio::piped())
            .output()
            .ok()?;
        let version = version_in(&String::from_utf8_lossy(&output.stdout))?.to_owned();
        Some(Self {
            major: major_of(&version)?,
            version,
            folder,
        })
    }

    pub(crate) fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }
}

/// The major version that made the cluster in `data`, if there is one.
fn major_of_cluster(data: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(data.join("PG_VERSION")).ok()?;
    major_of(text.trim())
}

/// `postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)` → `15.8`; also `17beta1`.
fn version_in(output: &str) -> Option<&str> {
    output
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

fn major_of(version: &str) -> Option<u32> {
    let digits = version.find(|c: char| !c.is_ascii_digit());
    version.get(..digits.unwrap_or(version.len()))?.parse().ok()
}

/// Folders that may hold an installation, the likeliest first.
fn candidates() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    on_path
        .into_iter()
        .chain(std::iter::once_with(told_by_pg_config).flatten())
        .chain(VERSIONED.into_iter().flat_map(versioned))
        .chain(UNVERSIONED.into_iter().map(PathBuf::from))
}

fn told_by_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config")
        .arg("--bindir")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(folder.trim_end()))
}

/// The versioned folders under a parent, newest first.
fn versioned((parent, prefix, below): (&str, &str, &str)) -> Vec<PathBuf> {
    let version = |name: &OsStr| major_of(name.to_str()?.strip_prefix(prefix)?);
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((version(&entry.file_name())?, entry.path().join(below))))
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, folder)| folder).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn versions_are_read_as_each_distribution_prints_them() {
        for (output, version, major) in [
            (
                "postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)\n",
                "15.8",
                15,
            ),
            ("postgres (PostgreSQL) 17beta1\n", "17beta1", 17),
            ("postgres (PostgreSQL) 9.6.24\n", "9.6.24", 9),
        ] {
            let found = version_in(output).unwrap();
            assert_eq!((found, major_of(found)), (version, Some(major)));
        }
        assert_eq!(version_in("command not found"), None);
    }

    #[test]
    fn versioned_folders_come_newest_first() {
        let parent = std::env::temp_dir().join(format!("versioned-{}", std::process::id()));
        for name in ["pgsql-9.6", "pgsql-16", "pgsql-17", "other", "pgsql-"] {
            std::fs::create_dir_all(parent.join(name)).unwrap();
        }
        let found = versioned((parent.to_str().unwrap(), "pgsql-", "bin"));
        std::fs::remove_dir_all(&parent).unwrap();
        let expected = ["pgsql-17/bin", "pgsql-16/bin", "pgsql-9.6/bin"].map(|p| parent.join(p));
        assert_eq!(found, expected);
    }
}
