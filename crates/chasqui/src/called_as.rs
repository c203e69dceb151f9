//! The names that the program goes by: its own, and those of the programs whose place it takes.

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use crate::sendmail::USAGE;

/// The exit status of a command that was called in a wrong way, as clap has it.
const WRONG_USAGE: u8 = 2;

/// What the program was called as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CalledAs {
    Chasqui,
    Mailq,
    Sendmail,
}

impl CalledAs {
    /// By the name in `argv[0]`, which is that of the link if it was called by one.
    pub(crate) fn now() -> Self {
        let name = std::env::args_os().next().unwrap_or_default();
        match Path::new(&name).file_name().and_then(OsStr::to_str) {
            Some("mailq") => Self::Mailq,
            Some("sendmail") => Self::Sendmail,
            _ => Self::Chasqui,
        }
    }
}

/// The exit status of wrong usage: callers of sendmail know that of sysexits.h.
pub(crate) fn wrong_usage() -> ExitCode {
    let is_sendmail = match CalledAs::now() {
        CalledAs::Sendmail => true,
        CalledAs::Mailq => false,
        CalledAs::Chasqui => std::env::args_os()
            .nth(1)
            .is_some_and(|noun| noun == "sendmail"),
    };
    ExitCode::from(if is_sendmail { USAGE } else { WRONG_USAGE })
}
