//! Passwords come from a prompt, or from standard input where that is no terminal; never from
//! the command line, where everyone on the machine can read them.

use std::io::{self, BufRead, IsTerminal};

use directory::MAX_PASSWORD;
use secrecy::{ExposeSecret, SecretString};
use smtp::Mailbox;
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest line that can be a password: that many characters of UTF-8, and the end of the line.
const MAX_LINE: u64 = 4 * MAX_PASSWORD as u64 + 2;

/// Why there is no password.
#[derive(Debug, Error)]
pub(crate) enum PasswordError {
    #[error("can't read the password")]
    Read(#[source] io::Error),
    #[error("standard input has no password: give one line, or use a terminal to be asked")]
    Missing,
    #[error("the two passwords differ: run the command again")]
    Differ,
}

/// A new password for the account: asked for twice, or the first line of standard input.
pub(crate) fn new_password(account: &Mailbox) -> Result<SecretString, PasswordError> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return first_line(stdin.lock());
    }
    let password = ask(&format!("New password for {account}: "))?;
    let again = ask("The same again: ")?;
    if password.expose_secret() == again.expose_secret() {
        Ok(password)
    } else {
        Err(PasswordError::Differ)
    }
}

fn ask(prompt: &str) -> Result<SecretString, PasswordError> {
    rpassword::prompt_password(prompt)
        .map(SecretString::from)
        .map_err(PasswordError::Read)
}

fn first_line(input: impl BufRead) -> Result<SecretString, PasswordError> {
    let mut line = Zeroizing::new(String::new());
    input
        .take(MAX_LINE)
        .read_line(&mut line)
        .map_err(PasswordError::Read)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(PasswordError::Missing);
    }
    Ok(SecretString::from(password))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_first_line_is_the_password_with_all_its_blanks() {
        for input in [
            " correct horse \nstaple",
            " correct horse \r\n",
            " correct horse ",
        ] {
            let password = first_line(input.as_bytes()).unwrap();
            assert_eq!(password.expose_secret(), " correct horse ");
        }
    }

    #[test]
    fn without_a_line_there_is_no_password() {
        for input in ["", "\n", "\r\nsecond"] {
            let missing = first_line(input.as_bytes());
            assert!(matches!(missing, Err(PasswordError::Missing)));
        }
    }
}
