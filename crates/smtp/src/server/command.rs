//! Commands: what a client asks for (RFC 5321 §4.1).

use zeroize::Zeroizing;

use super::event::{Hello, HelloVerb, Mail};
use super::{Dialect, parameters, replies};
use crate::envelope::Recipient;
use crate::reply::Reply;

/// Longest name in HELO, EHLO and LHLO, in octets (RFC 5321 §4.5.3.1.2).
const MAX_HELLO_NAME: usize = 255;

/// A command that is syntactically sound.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Hello(Hello),
    StartTls,
    Auth {
        mechanism: String,
        /// The initial response in base64, as it stands.
        initial: Option<Zeroizing<String>>,
    },
    Mail(Mail),
    Rcpt(Recipient),
    Data,
    Rset,
    Noop,
    Vrfy(String),
    Help,
    Quit,
}

impl Command {
    /// Parses a line without its CR LF. White space at the end is ignored (RFC 5321 §4.1.1).
    ///
    /// # Errors
    /// The reply that names the fault.
    pub(super) fn parse(line: &str, dialect: Dialect) -> Result<Self, Reply> {
        let line = line.trim_end_matches(' ');
        let (verb, arguments) = line.split_once(' ').unwrap_or((line, ""));
        let arguments = arguments.trim_start_matches(' ');
        match verb.to_ascii_uppercase().as_str() {
            "HELO" if dialect == Dialect::Smtp => hello(HelloVerb::Helo, arguments),
            "EHLO" if dialect == Dialect::Smtp => hello(HelloVerb::Ehlo, arguments),
            "LHLO" if dialect == Dialect::Lmtp => hello(HelloVerb::Lhlo, arguments),
            "MAIL" => parameters::parse_mail(arguments).map(Self::Mail),
            "RCPT" => parameters::parse_rcpt(arguments).map(Self::Rcpt),
            "DATA" => bare(arguments, Self::Data),
            "RSET" => bare(arguments, Self::Rset),
            "QUIT" => bare(arguments, Self::Quit),
            "STARTTLS" => bare(arguments, Self::StartTls),
            // RFC 5321 §4.1.1.9: an argument to NOOP is ignored.
            "NOOP" => Ok(Self::Noop),
            "HELP" => Ok(Self::Help),
            "AUTH" => auth(arguments),
            "VRFY" => vrfy(arguments),
            "EXPN" => Err(replies::not_implemented("EXPN is not available")),
            _ => Err(replies::unknown_command()),
        }
    }
}

/// A command that takes no arguments.
fn bare(arguments: &str, command: Command) -> Result<Command, Reply> {
    if arguments.is_empty() {
        Ok(command)
    } else {
        Err(replies::bad_arguments("No arguments allowed"))
    }
}

fn hello(verb: HelloVerb, name: &str) -> Result<Command, Reply> {
    let acceptable = (1..=MAX_HELLO_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic());
    if !acceptable {
        let text = format!("Syntax: {verb} host name");
        return Err(replies::bad_arguments(&text));
    }
    Ok(Command::Hello(Hello {
        verb,
        name: name.to_owned(),
    }))
}

fn auth(arguments: &str) -> Result<Command, Reply> {
    let mut words = arguments.split_ascii_whitespace();
    let mechanism = words.next().map(str::to_owned);
    let initial = words.next().map(|word| Zeroizing::new(word.to_owned()));
    match (mechanism, words.next()) {
        (Some(mechanism), None) => Ok(Command::Auth { mechanism, initial }),
        _ => Err(replies::bad_arguments(
            "Syntax: AUTH mechanism [initial response]",
        )),
    }
}

fn vrfy(argument: &str) -> Result<Command, Reply> {
    if argument.is_empty() {
        return Err(replies::bad_arguments("Syntax: VRFY address"));
    }
    Ok(Command::Vrfy(argument.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &str) -> String {
        Command::parse(line, Dialect::Smtp).unwrap_err().to_string()
    }

    fn code(line: &str) -> String {
        refusal(line).chars().take(9).collect()
    }

    #[test]
    fn verbs_are_known_in_any_case() {
        assert_eq!(Command::parse("quit", Dialect::Smtp), Ok(Command::Quit));
        assert_eq!(Command::parse("DaTa  ", Dialect::Smtp), Ok(Command::Data));
        assert_eq!(Command::parse("NOOP x", Dialect::Smtp), Ok(Command::Noop));
    }

    #[test]
    fn each_dialect_has_its_own_hello() {
        assert!(Command::parse("LHLO a", Dialect::Lmtp).is_ok());
        assert!(Command::parse("EHLO a", Dialect::Lmtp).is_err());
        assert!(Command::parse("HELO a", Dialect::Lmtp).is_err());
        assert_eq!(code("LHLO a"), "500 5.5.1");
    }

    #[test]
    fn faults_have_their_codes() {
        assert_eq!(code("FOO"), "500 5.5.1");
        assert_eq!(code(""), "500 5.5.1");
        assert_eq!(code("EHLO"), "501 5.5.4");
        assert_eq!(code("EHLO a b"), "501 5.5.4");
        assert_eq!(code("DATA now"), "501 5.5.4");
        assert_eq!(code("STARTTLS x"), "501 5.5.4");
        assert_eq!(code("AUTH"), "501 5.5.4");
        assert_eq!(code("AUTH PLAIN a b"), "501 5.5.4");
        assert_eq!(code("VRFY"), "501 5.5.4");
        assert_eq!(code("EXPN list"), "502 5.5.1");
    }
}
