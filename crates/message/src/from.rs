//! Who a message says it is from (RFC 5322 §3.6.2).

use smtp::Mailbox;
use thiserror::Error;

use crate::address_list;
use crate::header::{End, Header};

/// Why the authors of a message cannot be told with certainty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuthorError {
    /// There is no From field, or no address in it.
    #[error("the message has no author: a From field is missing or empty")]
    Missing,
    /// A field that may stand once stands twice; readers differ in which they show.
    #[error("the header has more than one {0} field")]
    Repeated(&'static str),
    /// A field holds no list of addresses, or one that can be read in two ways.
    #[error("the {0} field cannot be parsed")]
    Unparsable(&'static str),
    /// A line of the header is no field; some readers skip it and find further fields after it.
    #[error("the header has a line that is no field")]
    BrokenHeader,
}

/// The authors: the addresses of the From field, at least one.
///
/// The header must be sound, so that every reader finds the same From: no line in it that is not
/// a field, and one From field only.
///
/// # Errors
/// Any [`AuthorError`].
pub fn authors(content: &[u8]) -> Result<Vec<Mailbox>, AuthorError> {
    if Header::of(content).end().1 == End::NotAField {
        return Err(AuthorError::BrokenHeader);
    }
    let authors = only_field(content, "From")?.ok_or(AuthorError::Missing)?;
    if authors.is_empty() {
        return Err(AuthorError::Missing);
    }
    Ok(authors)
}

/// The Sender field: who sent the message on the authors' behalf, if that was someone else.
///
/// # Errors
/// [`AuthorError::Repeated`], or [`AuthorError::Unparsable`] when it is not exactly one address.
pub fn sender(content: &[u8]) -> Result<Option<Mailbox>, AuthorError> {
    let Some(mailboxes) = only_field(content, "Sender")? else {
        return Ok(None);
    };
    <[Mailbox; 1]>::try_from(mailboxes)
        .map(|[sender]| Some(sender))
        .map_err(|_| AuthorError::Unparsable("Sender"))
}

/// The addresses of the one field of that name; `None` when there is none.
fn only_field(content: &[u8], name: &'static str) -> Result<Option<Vec<Mailbox>>, AuthorError> {
    let mut fields = Header::of(content).named(name);
    let Some(field) = fields.next() else {
        return Ok(None);
    };
    if fields.next().is_some() {
        return Err(AuthorError::Repeated(name));
    }
    address_list::parse(field.value())
        .map(Some)
        .ok_or(AuthorError::Unparsable(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_authors_are_those_of_from() {
        let content =
            b"Sender: s@x.org\r\nfrom : A <a@x.org>,\r\n b@y.org\r\n\r\nFrom: c@z.org\r\n";
        let authors: Vec<_> = authors(content).unwrap();
        let authors: Vec<_> = authors.iter().map(Mailbox::to_string).collect();
        assert_eq!(authors, ["a@x.org", "b@y.org"]);
        assert_eq!(sender(content).unwrap().unwrap().to_string(), "s@x.org");
    }

    #[test]
    fn a_doubtful_author_is_an_error() {
        let from = AuthorError::Unparsable("From");
        for (content, error) in [
            ("Subject: x\r\n\r\nFrom: a@x.org", AuthorError::Missing),
            ("", AuthorError::Missing),
            ("From:\r\n\r\n", AuthorError::Missing),
            (
                "From: a@x.org\r\nFROM: b@y.org\r\n\r\n",
                AuthorError::Repeated("From"),
            ),
            ("From: nobody\r\n\r\n", from),
            (
                "From: a@x.org\r\nbroken\r\nFrom: b@y.org\r\n",
                AuthorError::BrokenHeader,
            ),
            ("text only\r\n", AuthorError::BrokenHeader),
        ] {
            assert_eq!(authors(content.as_bytes()), Err(error), "{content}");
        }
    }

    #[test]
    fn a_sender_is_one_address_or_absent() {
        assert_eq!(sender(b"From: a@x.org\r\n\r\n"), Ok(None));
        let error = AuthorError::Unparsable("Sender");
        assert_eq!(sender(b"Sender: a@x.org, b@y.org\r\n\r\n"), Err(error));
        assert_eq!(sender(b"Sender:\r\n\r\n"), Err(error));
    }
}
