//! The content as a whole.

use smtp::Body;

/// What the octets are, whatever the client declared: a message with octets above 127 must not
/// reach a server that lacks 8BITMIME (RFC 6152 §3).
#[must_use]
pub fn body_of(content: &[u8]) -> Body {
    if content.is_ascii() {
        Body::SevenBit
    } else {
        Body::EightBitMime
    }
}

/// What must stand between fields put before a content and the content itself.
///
/// Nothing, if the content starts with a field or with the empty line that ends a header. Else an
/// empty line: without it, a first line of text would read as a broken header, and one that
/// starts with a space would be taken for the rest of our last field.
#[must_use]
pub fn joint(content: &[u8]) -> &'static str {
    use crate::header::{End, Header};
    match Header::of(content).fields().next() {
        Some(_) => "",
        None if Header::of(content).end().1 == End::EmptyLine => "",
        None => "\r\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_judged_by_its_octets() {
        assert_eq!(body_of(b"plain"), Body::SevenBit);
        assert_eq!(body_of("caf\u{e9}".as_bytes()), Body::EightBitMime);
    }

    #[test]
    fn only_a_content_without_header_needs_an_empty_line() {
        assert_eq!(joint(b"Subject: x\r\n\r\nbody"), "");
        assert_eq!(joint(b"\r\nbody"), "");
        assert_eq!(joint(b"just text\r\n"), "\r\n");
        assert_eq!(joint(b" indented\r\n"), "\r\n");
        assert_eq!(joint(b""), "\r\n");
    }
}
