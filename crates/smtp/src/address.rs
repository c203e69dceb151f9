//! Mailboxes: `local-part@domain` (RFC 5321 §4.1.2).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::domain::MailDomain;

/// Longest local part, in octets as written on the wire (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL_PART: usize = 64;

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Nothing was given where an address belongs.
    #[error("the address is empty")]
    Empty,
    /// There is no `@` and nothing after it.
    #[error("the address lacks a domain")]
    MissingDomain,
    /// The local part is neither a dot-atom nor a quoted string.
    #[error("the local part is malformed")]
    InvalidLocalPart,
    /// The local part exceeds 64 octets.
    #[error("the local part is longer than 64 octets")]
    LocalPartTooLong,
    /// The domain is not made of labels of letters, digits and hyphens.
    #[error("the domain is malformed")]
    InvalidDomain,
    /// The domain exceeds 255 octets.
    #[error("the domain is longer than 255 octets")]
    DomainTooLong,
    /// The bracketed address is neither IPv4 nor IPv6.
    #[error("the address literal is malformed")]
    InvalidLiteral,
    /// The address is not enclosed in `<` and `>`.
    #[error("the address must be enclosed in angle brackets")]
    MissingBrackets,
    /// Non-ASCII text, which takes SMTPUTF8 (RFC 6531).
    #[error("the address has characters outside ASCII")]
    NotAscii,
}

/// The part of an address left of the `@`.
///
/// Kept in decoded form, so that `"abc"` and `abc` are the same mailbox, and quoted again for
/// display only where the text is no dot-atom. Case is kept and significant (RFC 5321 §2.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalPart(Box<str>);

impl LocalPart {
    /// Parses the wire form: a dot-atom or a quoted string (RFC 5321 §4.1.2 `Local-part`).
    ///
    /// # Errors
    /// [`AddressError::Empty`], [`AddressError::NotAscii`], [`AddressError::LocalPartTooLong`] or
    /// [`AddressError::InvalidLocalPart`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if !text.is_ascii() {
            return Err(AddressError::NotAscii);
        }
        if text.len() > MAX_LOCAL_PART {
            return Err(AddressError::LocalPartTooLong);
        }
        if is_dot_atom(text) {
            return Ok(Self(text.into()));
        }
        decode_quoted(text)
            .map(|decoded| Self(decoded.into_boxed_str()))
            .ok_or(AddressError::InvalidLocalPart)
    }

    /// The decoded text, without quotes. Not fit for the wire: use `Display` for that.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 5321 §4.1.2 `Dot-string`.
fn is_dot_atom(text: &str) -> bool {
    text.split('.')
        .all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

/// RFC 5322 §3.2.3 `atext`.
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// RFC 5321 §4.1.2 `Quoted-string`: printable ASCII and space, `\` before any of them.
fn decode_quoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?;
    let mut decoded = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(decoded),
            '\\' => decoded.push(chars.next().filter(is_quotable)?),
            c if is_quotable(&c) => decoded.push(c),
            _ => return None,
        }
    }
}

fn is_quotable(c: &char) -> bool {
    matches!(c, ' '..='~')
}

impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_atom(&self.0) {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            fmt::Write::write_char(f, c)?;
        }
        f.write_str("\"")
    }
}

impl FromStr for LocalPart {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// An address: a local part at a domain (RFC 5321 §4.1.2 `Mailbox`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mailbox {
    local_part: LocalPart,
    domain: MailDomain,
}

impl Mailbox {
    /// Joins a local part and a domain.
    #[must_use]
    pub fn new(local_part: LocalPart, domain: impl Into<MailDomain>) -> Self {
        Self {
            local_part,
            domain: domain.into(),
        }
    }

    /// Parses `local-part@domain`, without angle brackets.
    ///
    /// # Errors
    /// Any [`AddressError`] but [`AddressError::MissingBrackets`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if !text.is_ascii() {
            return Err(AddressError::NotAscii);
        }
        let (local_part, rest) = text.split_at(end_of_local_part(text));
        let local_part = LocalPart::parse(local_part)?;
        let domain = rest
            .strip_prefix('@')
            .filter(|domain| !domain.is_empty())
            .ok_or(AddressError::MissingDomain)?;
        Ok(Self::new(local_part, MailDomain::parse(domain)?))
    }

    /// The part left of the `@`.
    #[must_use]
    pub fn local_part(&self) -> &LocalPart {
        &self.local_part
    }

    /// The part right of the `@`.
    #[must_use]
    pub fn domain(&self) -> &MailDomain {
        &self.domain
    }
}

/// Where the local part ends: at the first `@` that is not quoted, or at the end of the text.
fn end_of_local_part(text: &str) -> usize {
    find_unquoted(text, b'@').unwrap_or(text.len())
}

/// The position of the first `wanted` outside double quotes.
pub(crate) fn find_unquoted(text: &str, wanted: u8) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    text.bytes().position(|byte| {
        if escaped {
            escaped = false;
            return false;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => return !quoted && byte == wanted,
        }
        false
    })
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local_part, self.domain)
    }
}

impl FromStr for Mailbox {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(text: &str) -> Result<String, AddressError> {
        Mailbox::parse(text).map(|mailbox| mailbox.to_string())
    }

    #[test]
    fn quotes_are_no_part_of_the_name() {
        assert_eq!(Mailbox::parse("\"abc\"@x.org"), Mailbox::parse("abc@x.org"));
        assert_eq!(wire("\"abc\"@X.org"), Ok("abc@x.org".to_owned()));
        let quoted = Mailbox::parse(r#""a \"b\\ @c"@x.org"#).unwrap();
        assert_eq!(quoted.local_part().as_str(), r#"a "b\ @c"#);
        assert_eq!(quoted.to_string(), r#""a \"b\\ @c"@x.org"#);
        assert_eq!(wire(r#""\a..b"@x.org"#), Ok(r#""a..b"@x.org"#.to_owned()));
        assert_eq!(wire(r#"""@x.org"#), Ok(r#"""@x.org"#.to_owned()));
    }

    #[test]
    fn the_local_part_keeps_its_case() {
        assert_ne!(Mailbox::parse("A@x.org"), Mailbox::parse("a@x.org"));
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for (text, error) in [
            ("", AddressError::Empty),
            ("@x.org", AddressError::Empty),
            ("a", AddressError::MissingDomain),
            ("a@", AddressError::MissingDomain),
            ("a@b@c", AddressError::InvalidDomain),
            ("a b@x.org", AddressError::InvalidLocalPart),
            (".a@x.org", AddressError::InvalidLocalPart),
            ("a..b@x.org", AddressError::InvalidLocalPart),
            ("a\r\nb@x.org", AddressError::InvalidLocalPart),
            ("\"a\0b\"@x.org", AddressError::InvalidLocalPart),
            ("\"a\tb\"@x.org", AddressError::InvalidLocalPart),
            ("\"a\"b@x.org", AddressError::InvalidLocalPart),
            ("\"a\\\"@x.org", AddressError::InvalidLocalPart),
            ("é@x.org", AddressError::NotAscii),
            ("a@é.org", AddressError::NotAscii),
        ] {
            assert_eq!(wire(text), Err(error), "{text:?}");
        }
        assert!(wire(&format!("{}@x.org", "a".repeat(64))).is_ok());
        assert_eq!(
            wire(&format!("{}@x.org", "a".repeat(65))),
            Err(AddressError::LocalPartTooLong)
        );
    }

    proptest! {
        #[test]
        fn what_is_displayed_is_parsed_to_the_same(local_part in "[ -~]{0,20}") {
            let quoted = local_part.replace('\\', "\\\\").replace('"', "\\\"");
            let mailbox = Mailbox::parse(&format!("\"{quoted}\"@x.org")).unwrap();
            prop_assert_eq!(mailbox.local_part().as_str(), &local_part);
            prop_assert_eq!(Mailbox::parse(&mailbox.to_string()).unwrap(), mailbox);
        }

        #[test]
        fn anything_at_all_is_parsed_or_refused(text in "\\PC{0,40}|[a\"\\\\@.<> \\r\\n\\x00]{0,12}") {
            if let Ok(mailbox) = Mailbox::parse(&text) {
                prop_assert!(mailbox.to_string().bytes().all(|byte| matches!(byte, b' '..=b'~')));
            }
        }
    }
}
