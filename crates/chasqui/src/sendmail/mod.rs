//! `chasqui sendmail`, and `sendmail`: submits a message from standard input.
//!
//! It keeps no queue of its own: what submission or relay has not acknowledged is the caller's, who
//! is told by the exit status (sysexits.h).

mod arguments;
mod content;
mod error;
mod recipients;
mod server;
mod settings;

use std::io::{Read as _, stdin};
use std::process::ExitCode;

use smtp::client::RecipientResult;
use smtp::{Mailbox, ReversePath};

use self::arguments::Mode;
pub(crate) use self::arguments::SendmailCommand;
use self::content::Letter;
pub(crate) use self::error::USAGE;
use self::error::{Outcome, SendmailError};
use self::settings::Settings;

/// Longest message that is read, in octets: more than any of our services takes.
const LONGEST: u64 = 256 << 20;

/// Submits, and tells the exit status.
pub(crate) fn main(command: &SendmailCommand) -> ExitCode {
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sendmail: {}", service::one_line(&error));
            ExitCode::from(error.status())
        }
    }
}

fn run(command: &SendmailCommand) -> Result<(), SendmailError> {
    match command.mode()? {
        Mode::Deliver => {}
        Mode::Refused(why) => return Err(SendmailError::Unsupported(why)),
    }
    let settings = Settings::load(command)?;
    let reverse_path = settings.reverse_path(command)?;
    if command.recipients.is_empty() && !command.from_header {
        return Err(SendmailError::NobodyNamed);
    }
    let mut octets = Vec::new();
    let read = stdin().lock().take(LONGEST + 1).read_to_end(&mut octets);
    read.map_err(SendmailError::Read)?;
    if octets.len() as u64 > LONGEST {
        return Err(SendmailError::TooLong);
    }
    let received = content::as_sent(&octets, command.ignores_dots());
    let recipients = recipients::all(command, &received, &settings)?;
    let letter = Letter::new(received, command, &settings, &reverse_path);
    let outcome = submit(&settings, &reverse_path, recipients, letter)?;
    outcome.tell(command.verbose);
    outcome.into_result()
}

/// In as many transactions as the server wants. Once it is known of some what became of them, an
/// error is no more than the others' outcome: else nobody would learn who has it already.
fn submit(
    settings: &Settings,
    reverse_path: &ReversePath,
    mut left: Vec<Mailbox>,
    letter: Letter,
) -> Result<Outcome, SendmailError> {
    let mut talk = server::open(settings)?;
    let mut outcome = Outcome::default();
    while !left.is_empty() {
        let results = match letter.send(&mut talk, reverse_path, &left) {
            Ok(results) => results,
            Err(error) if outcome.is_empty() => return Err(error),
            Err(error) => {
                outcome.note_untried(left, &error);
                break;
            }
        };
        let mut next = Vec::new();
        let tried = left.len();
        for (recipient, result) in left.into_iter().zip(results) {
            match result {
                RecipientResult::TooManyRecipients(_) if tried > 1 => next.push(recipient),
                result => outcome.note(recipient, result),
            }
        }
        left = if next.len() < tried { next } else { Vec::new() };
    }
    talk.quit();
    Ok(outcome)
}
