//! The system user that Postgres runs as.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User};

use crate::error::StartError;

/// Whom to run Postgres as when we are root, in this order.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// Runs programs as ourselves or, when we are root, as an unprivileged user.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    uid: u32,
    /// Set when we are root and have to become this user.
    become_user: Option<User>,
}

impl Account {
    /// The account for a new cluster.
    pub(crate) fn for_new_cluster() -> Result<Self, StartError> {
        if !Uid::effective().is_root() {
            return Ok(Self::ourselves());
        }
        UNPRIVILEGED
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(Self::of)
            .ok_or(StartError::NoUnprivilegedUser)
    }

    /// The account of an existing cluster: its folder's owner, whom only root can become.
    pub(crate) fn owning(folder: &Path) -> Result<Self, StartError> {
        let owner = std::fs::metadata(folder)
            .map_err(StartError::folder("read", folder))?
            .uid();
        let not_ours = || StartError::NotOurs {
            path: folder.to_owned(),
        };
        if Uid::effective().is_root() && owner != 0 {
            let user = User::from_uid(Uid::from_raw(owner)).ok().flatten();
            return user.map(Self::of).ok_or_else(not_ours);
        }
        if owner == Uid::effective().as_raw() && owner != 0 {
            return Ok(Self::ourselves());
        }
        Err(not_ours())
    }

    fn ourselves() -> Self {
        Self {
            uid: Uid::effective().as_raw(),
            become_user: None,
        }
    }

    fn of(user: User) -> Self {
        Self {
            uid: user.uid.as_raw(),
            become_user: Some(user),
        }
    }

    /// The user's name, when it is not ourselves.
    pub(crate) fn name(&self) -> Option<&str> {
        self.become_user.as_ref().map(|user| user.name.as_str())
    }

    /// A name for messages.
    pub(crate) fn describe(&self) -> String {
        match self.name() {
            Some(name) => name.to_owned(),
            None => format!("with id {}", self.uid),
        }
    }

    /// Hands a folder that we made to this account.
    pub(crate) fn take_over(&self, folder: &Path) -> io::Result<()> {
        match &self.become_user {
            Some(user) => {
                let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
                std::os::unix::fs::chown(folder, Some(uid), Some(gid))
            }
            None => Ok(()),
        }
    }

    /// A command that runs as this account, in a process group of its own: Ctrl-C in a terminal
    /// reaches the owner alone, which stops Postgres when nothing needs it any more.
    ///
    /// The caller's `PG…` variables don't leak in, and what Postgres says comes in English.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        command
            .env("LC_ALL", "C")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(user) = &self.become_user {
            // The standard library drops root's supplementary groups along with the uid.
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    /// Whether this account can walk into `folder`. Asked of the kernel rather than worked out from
    /// modes, so that ACLs and user namespaces count.
    pub(crate) fn can_reach(&self, folder: &Path) -> bool {
        self.command("/bin/sh")
            .args(["-c", r#"cd -- "$1""#, "sh"])
            .arg(folder)
            .status()
            .is_ok_and(|status| status.success())
    }
}
