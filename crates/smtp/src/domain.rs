//! Domain names and address literals, as they stand right of the `@`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::address::AddressError;

/// Longest domain name, in octets (RFC 5321 §4.5.3.1.2).
const MAX_DOMAIN: usize = 255;
/// Longest label of a domain name, in octets (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// A syntactically valid domain name: ASCII labels of letters, digits, hyphens and underscores.
///
/// Kept in lower case, so that equality is the DNS's equality. Internationalised names come as
/// A-labels (`xn--…`), since SMTPUTF8 is not announced. Underscores are not host name characters,
/// yet mail domains that bear them exist and receive mail.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Box<str>);

impl Domain {
    /// Parses a domain name (RFC 5321 §4.1.2 `Domain`), without a trailing dot.
    ///
    /// # Errors
    /// [`AddressError::DomainTooLong`] or [`AddressError::InvalidDomain`].
    pub fn parse(name: &str) -> Result<Self, AddressError> {
        if name.len() > MAX_DOMAIN {
            return Err(AddressError::DomainTooLong);
        }
        if name.split('.').all(is_label) {
            Ok(Self(name.to_ascii_lowercase().into_boxed_str()))
        } else {
            Err(AddressError::InvalidDomain)
        }
    }

    /// The name in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let at_edge_hyphen = bytes.first() == Some(&b'-') || bytes.last() == Some(&b'-');
    !bytes.is_empty()
        && bytes.len() <= MAX_LABEL
        && !at_edge_hyphen
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::parse(name)
    }
}

impl AsRef<str> for Domain {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// What stands right of the `@`: a domain name or an address literal (RFC 5321 §4.1.2, §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MailDomain {
    /// A domain name.
    Name(Domain),
    /// An IP address in brackets: `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Literal(IpAddr),
}

impl MailDomain {
    /// Parses a domain name or an IPv4 or IPv6 address literal in brackets.
    ///
    /// General address literals (RFC 5321 §4.1.3, `[tag:…]`) are refused: no tag but `IPv6` was
    /// ever registered.
    ///
    /// # Errors
    /// [`AddressError::InvalidLiteral`] for what stands in brackets, else those of
    /// [`Domain::parse`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let Some(rest) = text.strip_prefix('[') else {
            return Domain::parse(text).map(Self::Name);
        };
        let inner = rest.strip_suffix(']').ok_or(AddressError::InvalidLiteral)?;
        parse_literal(inner)
            .map(Self::Literal)
            .ok_or(AddressError::InvalidLiteral)
    }

    /// The key that mail is routed by: the name, or the literal in its wire form with brackets.
    #[must_use]
    pub fn routing_domain(&self) -> String {
        self.to_string()
    }

    /// The domain name, unless this is a literal.
    #[must_use]
    pub fn name(&self) -> Option<&Domain> {
        match self {
            Self::Name(name) => Some(name),
            Self::Literal(_) => None,
        }
    }
}

fn parse_literal(inner: &str) -> Option<IpAddr> {
    const TAG: &str = "IPv6:";
    match inner.get(..TAG.len()) {
        Some(tag) if tag.eq_ignore_ascii_case(TAG) => inner
            .get(TAG.len()..)?
            .parse::<Ipv6Addr>()
            .ok()
            .map(IpAddr::V6),
        _ => inner.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

impl fmt::Display for MailDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Literal(IpAddr::V4(address)) => write!(f, "[{address}]"),
            Self::Literal(IpAddr::V6(address)) => write!(f, "[IPv6:{address}]"),
        }
    }
}

impl FromStr for MailDomain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl From<Domain> for MailDomain {
    fn from(name: Domain) -> Self {
        Self::Name(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_in_lower_case() {
        let name = Domain::parse("Mail.EXAMPLE.org").unwrap();
        assert_eq!(name.as_str(), "mail.example.org");
        assert!(Domain::parse("xn--bcher-kva.example").is_ok());
        assert!(Domain::parse("_dmarc.example.org").is_ok());
        assert!(Domain::parse("localhost").is_ok());
    }

    #[test]
    fn malformed_names_are_refused() {
        for name in [
            "", ".", "a.", ".a", "a..b", "-a.b", "a-.b", "a b", "ü.de", "a\0b", "a/b",
        ] {
            assert_eq!(
                Domain::parse(name),
                Err(AddressError::InvalidDomain),
                "{name}"
            );
        }
        assert!(Domain::parse(&"a".repeat(63)).is_ok());
        assert!(Domain::parse(&"a".repeat(64)).is_err());
        assert_eq!(
            Domain::parse(&"a.".repeat(128)),
            Err(AddressError::DomainTooLong)
        );
    }

    #[test]
    fn literals_are_addresses() {
        for (text, wire) in [
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("[ipv6:2001:DB8:0::1]", "[IPv6:2001:db8::1]"),
        ] {
            let literal = MailDomain::parse(text).unwrap();
            assert_eq!(literal.to_string(), wire);
            assert_eq!(MailDomain::parse(wire).unwrap(), literal);
            assert_eq!(literal.routing_domain(), wire);
            assert!(literal.name().is_none());
        }
    }

    #[test]
    fn malformed_and_general_literals_are_refused() {
        for text in [
            "[]",
            "[1.2.3]",
            "[1.2.3.4",
            "[::1]",
            "[IPv6:1.2.3.4]",
            "[X-tag:y]",
            "[é]",
        ] {
            assert_eq!(
                MailDomain::parse(text),
                Err(AddressError::InvalidLiteral),
                "{text}"
            );
        }
    }
}
