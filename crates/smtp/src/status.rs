//! Enhanced status codes (RFC 3463).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The first number of an enhanced status: how the matter ended (RFC 3463 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StatusClass {
    /// `2`: done.
    Success,
    /// `4`: failed for now; sending the same again later may succeed.
    Transient,
    /// `5`: failed for good.
    Permanent,
}

impl StatusClass {
    /// The digit on the wire: 2, 4 or 5.
    #[must_use]
    pub const fn digit(self) -> u8 {
        match self {
            Self::Success => 2,
            Self::Transient => 4,
            Self::Permanent => 5,
        }
    }
}

/// An enhanced status code such as `5.1.1` (RFC 3463 §2, registry RFC 5248).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnhancedStatus {
    class: StatusClass,
    subject: u16,
    detail: u16,
}

/// Largest subject or detail: three digits (RFC 3463 §2).
const MAX_NUMBER: u16 = 999;

impl EnhancedStatus {
    /// The status `class.subject.detail`.
    ///
    /// A class other than 2, 4 and 5 becomes 4: our own mistake is never a client's permanent
    /// failure. Subject and detail are capped at 999.
    #[must_use]
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        let class = match class {
            2 => StatusClass::Success,
            5 => StatusClass::Permanent,
            _ => StatusClass::Transient,
        };
        Self {
            class,
            subject: capped(subject),
            detail: capped(detail),
        }
    }

    /// How the matter ended.
    #[must_use]
    pub const fn class(self) -> StatusClass {
        self.class
    }

    /// What it is about: address, mailbox, mail system, network … (RFC 3463 §3.2 to §3.8).
    #[must_use]
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The precise condition within the subject.
    #[must_use]
    pub const fn detail(self) -> u16 {
        self.detail
    }

    /// Whether the class is 2.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self.class, StatusClass::Success)
    }

    /// Whether the class is 4.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self.class, StatusClass::Transient)
    }

    /// Whether the class is 5.
    #[must_use]
    pub const fn is_permanent(self) -> bool {
        matches!(self.class, StatusClass::Permanent)
    }
}

const fn capped(number: u16) -> u16 {
    if number > MAX_NUMBER {
        MAX_NUMBER
    } else {
        number
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class.digit(), self.subject, self.detail)
    }
}

/// The text is not `class.subject.detail` with a class of 2, 4 or 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not an enhanced status code (RFC 3463 §2)")]
pub struct StatusError;

impl FromStr for EnhancedStatus {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text.split('.');
        let mut next = || numbers.next().and_then(parse_number).ok_or(StatusError);
        let (class, subject, detail) = (next()?, next()?, next()?);
        let class = match class {
            2 => 2,
            4 => 4,
            5 => 5,
            _ => return Err(StatusError),
        };
        if numbers.next().is_some() {
            return Err(StatusError);
        }
        Ok(Self::new(class, subject, detail))
    }
}

/// One to three digits.
fn parse_number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_and_written() {
        let status: EnhancedStatus = "5.7.26".parse().unwrap();
        assert_eq!(status, EnhancedStatus::new(5, 7, 26));
        assert_eq!(status.to_string(), "5.7.26");
        assert!(status.is_permanent());
        for text in [
            "", "5", "5.1", "5.1.1.1", "3.1.1", "5..1", "5.1.x", "5.1000.1", "+5.1.1",
        ] {
            assert_eq!(text.parse::<EnhancedStatus>(), Err(StatusError), "{text}");
        }
    }

    #[test]
    fn our_own_mistakes_are_transient() {
        assert_eq!(EnhancedStatus::new(3, 1, 9_999).to_string(), "4.1.999");
    }
}
