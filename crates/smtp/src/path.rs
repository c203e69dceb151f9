//! Reverse-path and forward-path: the addresses of the envelope (RFC 5321 §4.1.2).

use std::fmt;

use crate::address::{AddressError, Mailbox};
use crate::domain::{Domain, MailDomain};

/// The one local name that every host knows, without a domain (RFC 5321 §4.5.1).
const POSTMASTER: &str = "postmaster";

/// Where failures are reported to: the argument of `MAIL FROM:`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReversePath {
    /// `<>`: notifications and automatic replies, which must never be answered by another
    /// (RFC 5321 §4.5.5).
    Null,
    /// An ordinary sender.
    Mailbox(Mailbox),
}

impl ReversePath {
    /// Parses the form with angle brackets: `<>` or `<user@example.org>`. A source route is
    /// accepted and ignored.
    ///
    /// # Errors
    /// Any [`AddressError`].
    pub fn parse_path(text: &str) -> Result<Self, AddressError> {
        Self::from_address(strip_source_route(strip_brackets(text)?)?)
    }

    /// Parses the form without angle brackets, where the empty text is the null path.
    ///
    /// # Errors
    /// Any [`AddressError`] but [`AddressError::MissingBrackets`].
    pub fn from_address(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Ok(Self::Null);
        }
        Mailbox::parse(text).map(Self::Mailbox)
    }

    /// The form without angle brackets, empty for the null path.
    #[must_use]
    pub fn as_address(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Mailbox(mailbox) => mailbox.to_string(),
        }
    }

    /// Whether this is `<>`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The mailbox, unless this is the null path.
    #[must_use]
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

/// Where mail goes: the argument of `RCPT TO:`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ForwardPath {
    /// `<Postmaster>` without a domain, in any case (RFC 5321 §4.5.1).
    Postmaster,
    /// An ordinary recipient.
    Mailbox(Mailbox),
}

impl ForwardPath {
    /// Parses the form with angle brackets: `<Postmaster>` or `<user@example.org>`. A source
    /// route is accepted and ignored.
    ///
    /// # Errors
    /// Any [`AddressError`].
    pub fn parse_path(text: &str) -> Result<Self, AddressError> {
        Self::from_address(strip_source_route(strip_brackets(text)?)?)
    }

    /// Parses the form without angle brackets.
    ///
    /// # Errors
    /// Any [`AddressError`] but [`AddressError::MissingBrackets`].
    pub fn from_address(text: &str) -> Result<Self, AddressError> {
        if text.eq_ignore_ascii_case(POSTMASTER) {
            return Ok(Self::Postmaster);
        }
        Mailbox::parse(text).map(Self::Mailbox)
    }

    /// The form without angle brackets, `postmaster` for the bare postmaster.
    #[must_use]
    pub fn as_address(&self) -> String {
        match self {
            Self::Postmaster => POSTMASTER.to_owned(),
            Self::Mailbox(mailbox) => mailbox.to_string(),
        }
    }

    /// The key that mail to this path is routed by; none for the bare postmaster, who is local.
    #[must_use]
    pub fn routing_domain(&self) -> Option<String> {
        self.mailbox()
            .map(Mailbox::domain)
            .map(MailDomain::routing_domain)
    }

    /// The mailbox, unless this is the bare postmaster.
    #[must_use]
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Postmaster => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<postmaster>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

impl From<Mailbox> for ReversePath {
    fn from(mailbox: Mailbox) -> Self {
        Self::Mailbox(mailbox)
    }
}

impl From<Mailbox> for ForwardPath {
    fn from(mailbox: Mailbox) -> Self {
        Self::Mailbox(mailbox)
    }
}

fn strip_brackets(text: &str) -> Result<&str, AddressError> {
    text.strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .ok_or(AddressError::MissingBrackets)
}

/// Drops `@a,@b:`, which must be accepted and should be ignored (RFC 5321 §4.1.2, appendix C).
fn strip_source_route(text: &str) -> Result<&str, AddressError> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    let (route, mailbox) = text.split_once(':').ok_or(AddressError::InvalidDomain)?;
    for hop in route.split(',') {
        let name = hop.strip_prefix('@').ok_or(AddressError::InvalidDomain)?;
        Domain::parse(name)?;
    }
    if mailbox.is_empty() {
        return Err(AddressError::Empty);
    }
    Ok(mailbox)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_null_path_is_empty() {
        assert_eq!(ReversePath::parse_path("<>"), Ok(ReversePath::Null));
        assert_eq!(ReversePath::from_address(""), Ok(ReversePath::Null));
        assert_eq!(ReversePath::Null.to_string(), "<>");
        assert_eq!(ReversePath::Null.as_address(), "");
        assert_eq!(ForwardPath::parse_path("<>"), Err(AddressError::Empty));
    }

    #[test]
    fn the_bare_postmaster_is_a_recipient_only() {
        let path = ForwardPath::parse_path("<PostMaster>").unwrap();
        assert_eq!(path, ForwardPath::Postmaster);
        assert_eq!(path.routing_domain(), None);
        assert_eq!(
            ForwardPath::from_address(&path.as_address()),
            Ok(ForwardPath::Postmaster)
        );
        assert!(ReversePath::parse_path("<postmaster>").is_err());
    }

    #[test]
    fn source_routes_are_ignored() {
        let path = ForwardPath::parse_path("<@a.org,@b.org:user@c.org>").unwrap();
        assert_eq!(path.to_string(), "<user@c.org>");
        assert_eq!(path.routing_domain().as_deref(), Some("c.org"));
        for malformed in [
            "<@a.org>",
            "<@a.org:>",
            "<@a.org,b.org:u@c>",
            "<@:u@c.org>",
            "<@a..b:u@c>",
        ] {
            assert!(ReversePath::parse_path(malformed).is_err(), "{malformed}");
        }
    }

    #[test]
    fn brackets_are_needed() {
        for text in ["a@b.org", "<a@b.org", "a@b.org>", "", "<"] {
            let error = Err(AddressError::MissingBrackets);
            assert_eq!(ReversePath::parse_path(text), error, "{text}");
        }
    }
}
