//! Which peers this machine has.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::passed_over::pass_over;

/// Where daemons lie that are not in everybody's PATH.
const DAEMONS: &str = "/usr/sbin:/usr/local/sbin";

/// Something that a test speaks with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    /// Postfix, and root, as whom alone it starts.
    Postfix,
    /// Of Postfix's package too, but anyone may run it.
    SmtpSource,
    /// swaks, and the Perl module by which it speaks TLS.
    Swaks,
    Curl,
    Python,
}

/// Whether this machine has these peers. If not, the calling test is to return at once: that it passes over is said
/// here.
pub(crate) fn present(peers: &[Peer]) -> bool {
    let missing: Vec<&str> = peers.iter().filter_map(|peer| peer.lacks()).collect();
    if missing.is_empty() {
        return true;
    }
    pass_over(&missing);
    false
}

/// The path of a program, if it is on this machine.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(env::split_paths(DAEMONS));
    folders
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

impl Peer {
    /// What there would have to be for this peer, and is not.
    fn lacks(self) -> Option<&'static str> {
        match self {
            Self::Postfix if find("postfix").is_none() => Some("Postfix"),
            Self::Postfix if !nix::unistd::geteuid().is_root() => {
                Some("root, as whom alone Postfix starts")
            }
            Self::SmtpSource if find("smtp-source").is_none() => Some("Postfix's smtp-source"),
            Self::Swaks if find("swaks").is_none() => Some("swaks"),
            Self::Swaks if !speaks_tls() => Some("Perl's Net::SSLeay for swaks"),
            Self::Curl if find("curl").is_none() => Some("curl"),
            Self::Python if find("python3").is_none() => Some("Python"),
            _ => None,
        }
    }
}

fn speaks_tls() -> bool {
    let perl = Command::new("perl")
        .args(["-MNet::SSLeay", "-e", "1"])
        .stderr(Stdio::null())
        .status();
    perl.is_ok_and(|status| status.success())
}
