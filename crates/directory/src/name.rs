//! Names of local mailboxes, and the rule for local parts.
//!
//! The rule, for all of Chasqui:
//! - Local parts of local domains are compared without regard to ASCII case.
//! - A name is made of `a-z 0-9 . _ - = + '`, starts with a letter, a digit or `_`, has no `..`,
//!   does not end in a dot, and is at most 64 octets long. Whatever else RFC 5321 allows, such as
//!   quoted strings with blanks or slashes, names no local mailbox: it is an unknown user.
//! - `name+tag` means `name`, unless `name+tag` is itself an account or an alias. A tag starts at
//!   the first `+` and may hold anything.
//!
//! So a name can be a path component as it stands: it can neither be `.` or `..` nor contain `/`.

use std::fmt;

use smtp::{Domain, LocalPart, Mailbox};
use thiserror::Error;

/// What separates a name from its tag, as in `alice+lists@example.org`.
pub const TAG_DELIMITER: char = '+';

/// Longest name, in octets (RFC 5321 §4.5.3.1.1).
const MAX_NAME: usize = 64;

/// Why an address cannot be the name of a local mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// The domain is an address literal.
    #[error("`{0}` is at an address literal, not at a domain")]
    Literal(String),
    /// The local part is outside the rule at the top of this module.
    #[error(
        "`{0}` cannot be the name of a mailbox: letters, digits and . _ - = + ' are allowed, \
         starting with a letter, a digit or _, without .. and without a dot at the end"
    )]
    LocalPart(String),
}

/// The name of an account or an alias: lower case, and safe as a path component.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName {
    local_part: Box<str>,
    domain: Domain,
}

impl AccountName {
    /// The name that `mailbox` spells, in lower case. A tag is kept.
    ///
    /// # Errors
    /// [`NameError`] when the address is outside the rule of this module.
    pub fn from_mailbox(mailbox: &Mailbox) -> Result<Self, NameError> {
        let domain = mailbox
            .domain()
            .name()
            .ok_or_else(|| NameError::Literal(mailbox.to_string()))?;
        let local_part = mailbox.local_part().as_str().to_ascii_lowercase();
        Self::new(&local_part, domain.clone())
    }

    pub(crate) fn new(local_part: &str, domain: Domain) -> Result<Self, NameError> {
        if !is_safe(local_part) {
            return Err(NameError::LocalPart(local_part.to_owned()));
        }
        Ok(Self {
            local_part: local_part.into(),
            domain,
        })
    }

    /// The part left of the `@`, in lower case.
    #[must_use]
    pub fn local_part(&self) -> &str {
        &self.local_part
    }

    /// The part right of the `@`.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The address of the mailbox.
    #[must_use]
    pub fn mailbox(&self) -> Mailbox {
        #[expect(
            clippy::expect_used,
            reason = "every safe name is a dot-atom of at most 64 octets"
        )]
        let local_part = LocalPart::parse(&self.local_part).expect("a safe name is a dot-atom");
        Mailbox::new(local_part, self.domain.clone())
    }

    /// Whether `mailbox` spells this very name, with or without a tag, rather than an alias.
    #[must_use]
    pub fn is_meant_by(&self, mailbox: &Mailbox) -> bool {
        Self::candidates(mailbox).contains(self)
    }

    /// The names that `mailbox` may stand for, in the order in which they are looked up: the
    /// whole local part, then what stands before its tag. A tag may hold any character.
    pub(crate) fn candidates(mailbox: &Mailbox) -> Vec<Self> {
        let Some(domain) = mailbox.domain().name() else {
            return Vec::new();
        };
        let local_part = mailbox.local_part().as_str().to_ascii_lowercase();
        let untagged = local_part
            .split_once(TAG_DELIMITER)
            .map(|(name, _tag)| name);
        [Some(local_part.as_str()), untagged]
            .into_iter()
            .flatten()
            .filter_map(|name| Self::new(name, domain.clone()).ok())
            .collect()
    }
}

fn is_safe(name: &str) -> bool {
    let starts_well = name
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit() || first == b'_');
    starts_well
        && name.len() <= MAX_NAME
        && !name.ends_with('.')
        && !name.contains("..")
        && name.bytes().all(is_name_byte)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-=+'".contains(&byte)
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local_part, self.domain)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn name(address: &str) -> Result<AccountName, NameError> {
        AccountName::from_mailbox(&Mailbox::parse(address).unwrap())
    }

    #[test]
    fn names_are_compared_in_lower_case() {
        assert_eq!(
            name("Alice.B@Example.ORG").unwrap().to_string(),
            "alice.b@example.org"
        );
        assert_eq!(
            name("\"alice\"@example.org").unwrap(),
            name("ALICE@example.org").unwrap()
        );
    }

    #[test]
    fn nothing_that_could_leave_its_folder_is_a_name() {
        for local_part in [
            "..",
            ".",
            ".alice",
            "alice.",
            "a..b",
            "../bob",
            "a/b",
            "/etc/passwd",
            "a\\b",
            "a b",
            "-rf",
            "~root",
            "a%2fb",
            "a:2,S",
            "",
        ] {
            let quoted = local_part.replace('\\', "\\\\");
            let address = format!("\"{quoted}\"@example.org");
            assert!(name(&address).is_err(), "{address} was taken for a name");
        }
        assert!(name("alice@[192.0.2.1]").is_err());
    }

    #[test]
    fn a_name_survives_the_way_to_an_address_and_back() {
        for address in [
            "alice@example.org",
            "o'brien@example.org",
            "a=b_c-d.e+f@example.org",
            "_x@a.b",
        ] {
            let name = name(address).unwrap();
            assert_eq!(name.mailbox().to_string(), address);
            assert_eq!(AccountName::from_mailbox(&name.mailbox()).unwrap(), name);
        }
    }

    #[test]
    fn a_tag_starts_at_the_first_delimiter_and_holds_anything() {
        let candidates = |address: &str| {
            let names = AccountName::candidates(&Mailbox::parse(address).unwrap());
            names.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(candidates("Alice@example.org"), ["alice@example.org"]);
        assert_eq!(
            candidates("Alice+A+b@example.org"),
            ["alice+a+b@example.org", "alice@example.org"]
        );
        assert_eq!(
            candidates("\"alice+../x\"@example.org"),
            ["alice@example.org"]
        );
        assert_eq!(candidates("+x@example.org"), Vec::<String>::new());
        assert_eq!(candidates("\"../alice\"@example.org"), Vec::<String>::new());
        assert_eq!(candidates("alice@[192.0.2.1]"), Vec::<String>::new());
    }
}
