//! The arguments of MAIL and RCPT: a path and its parameters (RFC 5321 §4.1.1.2, §4.1.1.3).

use super::event::Mail;
use super::replies;
use crate::address::{AddressError, find_unquoted};
use crate::envelope::{Body, MailParameters, Recipient};
use crate::path::{ForwardPath, ReversePath};
use crate::reply::Reply;
use crate::text::xtext_decode;

/// Most digits in `SIZE=` (RFC 1870 §3).
const MAX_SIZE_DIGITS: usize = 20;

/// Parses what follows `MAIL `.
///
/// # Errors
/// The reply that names the fault.
pub(super) fn parse_mail(arguments: &str) -> Result<Mail, Reply> {
    let rest = strip_prefix(arguments, "FROM:", "Syntax: MAIL FROM:<address>")?;
    let (path, parameters) = split_path(rest).map_err(replies::bad_sender)?;
    let reverse_path = ReversePath::parse_path(path).map_err(replies::bad_sender)?;
    let parameters = parse_mail_parameters(parameters)?;
    Ok(Mail {
        reverse_path,
        parameters,
    })
}

/// Parses what follows `RCPT `.
///
/// # Errors
/// The reply that names the fault.
pub(super) fn parse_rcpt(arguments: &str) -> Result<Recipient, Reply> {
    let rest = strip_prefix(arguments, "TO:", "Syntax: RCPT TO:<address>")?;
    let (path, parameters) = split_path(rest).map_err(replies::bad_recipient)?;
    let path = ForwardPath::parse_path(path).map_err(replies::bad_recipient)?;
    if let Some((keyword, _)) = keywords(parameters)?.next() {
        return Err(replies::unknown_parameter(keyword));
    }
    Ok(Recipient::new(path))
}

/// Strips `FROM:` or `TO:`, in any case, and a space behind it, which is wrong but common.
fn strip_prefix<'a>(arguments: &'a str, prefix: &str, syntax: &str) -> Result<&'a str, Reply> {
    arguments
        .split_at_checked(prefix.len())
        .filter(|(start, _)| start.eq_ignore_ascii_case(prefix))
        .map(|(_, rest)| rest.trim_start_matches(' '))
        .ok_or_else(|| replies::bad_arguments(syntax))
}

/// Splits behind the closing bracket of a path, which is the first that is not quoted.
fn split_path(text: &str) -> Result<(&str, &str), AddressError> {
    if !text.starts_with('<') {
        return Err(AddressError::MissingBrackets);
    }
    let end = find_unquoted(text, b'>').ok_or(AddressError::MissingBrackets)?;
    Ok(text.split_at(end + 1))
}

/// The parameters as keyword and value; the value is empty without `=`. A space must part them
/// from the path.
fn keywords(parameters: &str) -> Result<impl Iterator<Item = (&str, &str)>, Reply> {
    if !parameters.is_empty() && !parameters.starts_with(' ') {
        return Err(replies::bad_arguments("Unexpected text behind the address"));
    }
    Ok(parameters
        .split_ascii_whitespace()
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, ""))))
}

fn parse_mail_parameters(text: &str) -> Result<MailParameters, Reply> {
    let mut parameters = MailParameters::default();
    for (keyword, value) in keywords(text)? {
        match keyword.to_ascii_uppercase().as_str() {
            "SIZE" => set(&mut parameters.size, keyword, parse_size(value))?,
            "BODY" => set(&mut parameters.body, keyword, Body::parse(value))?,
            "AUTH" => set(&mut parameters.auth, keyword, parse_auth(value))?,
            _ => return Err(replies::unknown_parameter(keyword)),
        }
    }
    Ok(parameters)
}

/// Stores a value that must be sound and the first of its keyword (RFC 5321 §4.1.2).
fn set<T>(slot: &mut Option<T>, keyword: &str, value: Option<T>) -> Result<(), Reply> {
    let bad = |what| Err(replies::bad_arguments(&format!("{what} {keyword}")));
    match value {
        None => bad("Bad value of parameter"),
        Some(_) if slot.is_some() => bad("Repeated parameter"),
        value => {
            *slot = value;
            Ok(())
        }
    }
}

/// Twenty digits may overflow; such a size is above any limit.
fn parse_size(value: &str) -> Option<u64> {
    let digits =
        (1..=MAX_SIZE_DIGITS).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| value.parse().unwrap_or(u64::MAX))
}

fn parse_auth(value: &str) -> Option<String> {
    xtext_decode(value).ok().filter(|auth| !auth.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail_fault(arguments: &str) -> String {
        let reply = parse_mail(arguments).unwrap_err().to_string();
        reply.chars().take(9).collect()
    }

    fn rcpt_fault(arguments: &str) -> String {
        let reply = parse_rcpt(arguments).unwrap_err().to_string();
        reply.chars().take(9).collect()
    }

    #[test]
    fn parameters_of_mail_are_read() {
        let mail = parse_mail("from: <a@b.org> size=100 BODY=8bitmime AUTH=x+3Dy@b.org").unwrap();
        assert_eq!(mail.reverse_path.as_address(), "a@b.org");
        assert_eq!(mail.parameters.size, Some(100));
        assert_eq!(mail.parameters.body, Some(Body::EightBitMime));
        assert_eq!(mail.parameters.auth.as_deref(), Some("x=y@b.org"));
        let mail = parse_mail("FROM:<> AUTH=<>").unwrap();
        assert!(mail.reverse_path.is_null());
        assert_eq!(mail.parameters.auth.as_deref(), Some("<>"));
    }

    #[test]
    fn a_size_beyond_64_bits_is_huge_rather_than_malformed() {
        let mail = parse_mail("FROM:<> SIZE=99999999999999999999").unwrap();
        assert_eq!(mail.parameters.size, Some(u64::MAX));
    }

    #[test]
    fn quoted_brackets_do_not_end_the_path() {
        let rcpt = parse_rcpt(r#"TO:<"a> b"@b.org>"#).unwrap();
        assert_eq!(rcpt.path.as_address(), r#""a> b"@b.org"#);
    }

    #[test]
    fn faults_of_mail_have_their_codes() {
        assert_eq!(mail_fault(""), "501 5.5.4");
        assert_eq!(mail_fault("TO:<a@b>"), "501 5.5.4");
        assert_eq!(mail_fault("FROM:a@b"), "501 5.1.7");
        assert_eq!(mail_fault("FROM:<a@b"), "501 5.1.7");
        assert_eq!(mail_fault("FROM:<a>"), "501 5.1.7");
        assert_eq!(mail_fault("FROM:<ü@b>"), "553 5.6.7");
        assert_eq!(mail_fault("FROM:<a@b>SIZE=1"), "501 5.5.4");
        assert_eq!(mail_fault("FROM:<a@b> SIZE=1x"), "501 5.5.4");
        assert_eq!(mail_fault("FROM:<a@b> SIZE"), "501 5.5.4");
        assert_eq!(mail_fault("FROM:<a@b> SIZE=1 SIZE=1"), "501 5.5.4");
        assert_eq!(mail_fault("FROM:<a@b> BODY=BINARYMIME"), "501 5.5.4");
        assert_eq!(mail_fault("FROM:<a@b> AUTH="), "501 5.5.4");
        assert_eq!(mail_fault("FROM:<a@b> AUTH=a+0D+0Ab"), "501 5.5.4");
        assert_eq!(mail_fault("FROM:<a@b> SMTPUTF8"), "555 5.5.4");
    }

    #[test]
    fn faults_of_rcpt_have_their_codes() {
        assert_eq!(rcpt_fault("FROM:<a@b>"), "501 5.5.4");
        assert_eq!(rcpt_fault("TO:<>"), "501 5.1.3");
        assert_eq!(rcpt_fault("TO:a@b"), "501 5.1.3");
        assert_eq!(rcpt_fault("TO:<a@-b>"), "501 5.1.3");
        assert_eq!(rcpt_fault("TO:<a@b> NOTIFY=NEVER"), "555 5.5.4");
    }
}
