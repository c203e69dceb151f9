//! How a submission ended, and the exit status that tells it (sysexits.h).

use std::io::{self, Write as _};
use std::path::PathBuf;

use smtp::client::content::ContentError;
use smtp::client::{NotAuthenticated, NotBegun, RecipientResult, Stage};
use smtp::{AddressError, Mailbox, Reply};
use thiserror::Error;

use crate::talk::{TalkError, TrustError};

/// EX_USAGE: the command was called in a wrong way.
pub(crate) const USAGE: u8 = 64;
/// EX_DATAERR: the message or an address is malformed.
const DATA: u8 = 65;
/// EX_NOUSER: a recipient was refused for good.
const NO_USER: u8 = 67;
/// EX_UNAVAILABLE: the message was refused for good, or it can't be done here.
const UNAVAILABLE: u8 = 69;
/// EX_IOERR: the message can't be read.
const IO: u8 = 74;
/// EX_TEMPFAIL: the caller may try again later.
const TEMPORARY: u8 = 75;
/// EX_NOPERM: the login was refused.
const NO_PERMISSION: u8 = 77;
/// EX_CONFIG: the configuration is wrong.
const CONFIGURATION: u8 = 78;

/// Why a message was not submitted, or not to everybody.
#[derive(Debug, Error)]
pub(super) enum SendmailError {
    #[error("nobody is named: give recipients, or -t to take them from the message")]
    NobodyNamed,
    #[error("the message names no recipient in To, Cc or Bcc")]
    NobodyInHeader,
    #[error("-b{0} is no mode")]
    Mode(String),
    #[error("{0}")]
    Unsupported(&'static str),
    #[error("{text} is no address: {error}")]
    Address { text: String, error: AddressError },
    #[error("the message can't be read")]
    Read(#[source] io::Error),
    #[error("the message is longer than 256 MiB")]
    TooLong,
    #[error(transparent)]
    Configuration(#[from] service::config::ConfigError),
    #[error("`{name}`, our own name, is no host name: set `host_name`")]
    HostName { name: String },
    #[error("{} is of no `chasqui dev` that has been started", .0.display())]
    NoDev(PathBuf),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("can't find {host}")]
    LookUp { host: String, source: io::Error },
    #[error("{host}:{port}")]
    Talk {
        host: String,
        port: u16,
        source: TalkError,
    },
    #[error(transparent)]
    Transaction(TalkError),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error("not accepted for {missing} of {all} recipients")]
    NotAccepted {
        missing: usize,
        all: usize,
        status: u8,
    },
}

impl SendmailError {
    /// As in sysexits.h.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::NobodyNamed | Self::Mode(_) => USAGE,
            Self::NobodyInHeader | Self::Address { .. } | Self::TooLong | Self::Content(_) => DATA,
            Self::Unsupported(_) => UNAVAILABLE,
            Self::Read(_) => IO,
            Self::Configuration(_) | Self::HostName { .. } | Self::NoDev(_) | Self::Trust(_) => {
                CONFIGURATION
            }
            Self::LookUp { .. } => TEMPORARY,
            Self::Talk { source, .. } | Self::Transaction(source) => of_talk(source),
            Self::NotAccepted { status, .. } => *status,
        }
    }
}

fn of_talk(error: &TalkError) -> u8 {
    match error {
        TalkError::Connect(_) | TalkError::Ended { .. } => TEMPORARY,
        TalkError::Refused { stage, reply } => of_reply(*stage, reply),
        TalkError::Handshake(_)
        | TalkError::NoStartTls
        | TalkError::NotAuthenticated(NotAuthenticated::NoPlain | NotAuthenticated::InPlaintext) => {
            CONFIGURATION
        }
        TalkError::NotBegun(NotBegun::Unsupported8Bit | NotBegun::TooLarge { .. }) => UNAVAILABLE,
        TalkError::NotAuthenticated(NotAuthenticated::NotReady(_)) | TalkError::NotBegun(_) => {
            TEMPORARY
        }
    }
}

fn of_reply(stage: Stage, reply: &Reply) -> u8 {
    match stage {
        _ if !reply.code.is_permanent() => TEMPORARY,
        Stage::Auth => NO_PERMISSION,
        Stage::Rcpt => NO_USER,
        _ => UNAVAILABLE,
    }
}

/// How it ended for each recipient.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    tried: Vec<(Mailbox, RecipientResult)>,
    /// Whose turn never came, and why.
    untried: Vec<(Mailbox, String)>,
}

impl Outcome {
    pub(super) fn is_empty(&self) -> bool {
        self.tried.is_empty() && self.untried.is_empty()
    }

    pub(super) fn note(&mut self, recipient: Mailbox, result: RecipientResult) {
        self.tried.push((recipient, result));
    }

    pub(super) fn note_untried(&mut self, recipients: Vec<Mailbox>, why: &SendmailError) {
        let why = service::one_line(why);
        let recipients = recipients.into_iter();
        self.untried
            .extend(recipients.map(|recipient| (recipient, why.clone())));
    }

    /// Tells on standard error who has it and who doesn't: whoever sends it again wants to leave out
    /// the former. If all have it, only when asked.
    pub(super) fn tell(&self, verbose: bool) {
        if self.missing() == 0 && !verbose {
            return;
        }
        let mut stderr = io::stderr().lock();
        for (recipient, result) in &self.tried {
            // Standard error that can't be written to has nobody to miss it.
            let _ = writeln!(stderr, "sendmail: {recipient}: {}", in_words(result));
        }
        for (recipient, why) in &self.untried {
            let _ = writeln!(stderr, "sendmail: {recipient}: not tried: {why}");
        }
    }

    /// What went wrong in one error. A permanent refusal counts for more than a passing one:
    /// whoever sends all of it again must not do so for ever.
    pub(super) fn into_result(self) -> Result<(), SendmailError> {
        let tried = self.tried.iter().filter_map(|(_, result)| status(result));
        let untried = self.untried.iter().map(|_| TEMPORARY);
        let statuses: Vec<u8> = tried.chain(untried).collect();
        let worst = [UNAVAILABLE, NO_USER, TEMPORARY]
            .into_iter()
            .find(|worst| statuses.contains(worst));
        match worst {
            None => Ok(()),
            Some(status) => Err(SendmailError::NotAccepted {
                missing: statuses.len(),
                all: self.tried.len() + self.untried.len(),
                status,
            }),
        }
    }

    /// For how many it was not accepted.
    fn missing(&self) -> usize {
        let tried = self.tried.iter();
        let refused = tried.filter(|(_, result)| !result.is_accepted());
        refused.count() + self.untried.len()
    }
}

fn status(result: &RecipientResult) -> Option<u8> {
    match result {
        RecipientResult::Accepted(_) => None,
        RecipientResult::Refused { stage, reply } => Some(of_reply(*stage, reply)),
        RecipientResult::TooManyRecipients(_) | RecipientResult::Interrupted { .. } => {
            Some(TEMPORARY)
        }
    }
}

fn in_words(result: &RecipientResult) -> String {
    match result {
        RecipientResult::Accepted(reply) | RecipientResult::TooManyRecipients(reply) => {
            reply.to_string()
        }
        RecipientResult::Refused { stage, reply } => format!("refused at {stage}: {reply}"),
        RecipientResult::Interrupted {
            stage: Stage::FinalDot,
            ending,
        } => format!("{ending}; it may have been taken all the same"),
        RecipientResult::Interrupted { stage, ending } => format!("{ending} at {stage}"),
    }
}
