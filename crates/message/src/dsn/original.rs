//! The third part: what is sent back of the original (RFC 6522 §3, §4).

use memchr::memchr;

use super::quoted_printable;
use crate::header::Header;

/// Largest original that is sent back whole, in octets: a sender has it already.
const MAX_FULL: usize = 64 * 1024;
/// Most octets of header that are sent back; fields that don't fit are left out.
const MAX_HEADER: usize = 32 * 1024;
/// Longest line, without its CRLF (RFC 5322 §2.1.1).
const MAX_LINE: usize = 998;

/// How much of the original is sent back. Both hold the whole content, or at least its header.
#[derive(Clone, Copy, Debug)]
pub enum Original<'a> {
    /// Its header only.
    Headers(&'a [u8]),
    /// All of it, if it is at most 64 KiB of 7-bit text; else its header, since a message within
    /// a message may not be encoded (RFC 2046 §5.2.1) and the notification must stay 7-bit.
    Full(&'a [u8]),
}

impl<'a> Original<'a> {
    /// The content of the original.
    pub(super) fn content(self) -> &'a [u8] {
        match self {
            Self::Headers(content) | Self::Full(content) => content,
        }
    }

    /// The part with its own header, without the boundary.
    pub(super) fn part(self) -> String {
        if let Self::Full(content) = self
            && content.len() <= MAX_FULL
            && let Some(text) = seven_bit(content)
        {
            return format!("Content-Type: message/rfc822\r\n\r\n{text}");
        }
        let header = self.header();
        match seven_bit(&header) {
            Some(text) => format!("Content-Type: text/rfc822-headers\r\n\r\n{text}"),
            // RFC 6522 §4 lets broken headers be encoded; a charset can't be told for them.
            None => format!(
                "Content-Type: text/rfc822-headers\r\n\
                 Content-Transfer-Encoding: quoted-printable\r\n\r\n{}",
                quoted_printable::encode(&header)
            ),
        }
    }

    /// The header, less the fields that would make it too long.
    fn header(self) -> Vec<u8> {
        let mut header = Vec::new();
        for field in Header::of(self.content()).fields() {
            if header.len() + field.bytes().len() <= MAX_HEADER {
                header.extend_from_slice(field.bytes());
            }
        }
        header
    }
}

/// The octets as text, if they can travel as they are: ASCII without NUL, lines of at most 998
/// octets, CR and LF only as CRLF.
fn seven_bit(octets: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(octets).ok()?;
    let is_fine = octets.is_ascii()
        && memchr(0, octets).is_none()
        && octets
            .split_inclusive(|byte| *byte == b'\n')
            .all(is_clean_line);
    is_fine.then_some(text)
}

fn is_clean_line(line: &[u8]) -> bool {
    let text = line.strip_suffix(b"\r\n").unwrap_or(line);
    text.len() <= MAX_LINE && text.iter().all(|byte| !matches!(byte, b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_line(original: Original<'_>) -> String {
        original
            .part()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    #[test]
    fn a_small_ascii_original_can_go_back_whole() {
        let content = b"Subject: x\r\n\r\nbody\r\n";
        let part = Original::Full(content).part();
        assert_eq!(
            part,
            "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nbody\r\n"
        );
        let part = Original::Headers(content).part();
        assert_eq!(
            part,
            "Content-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n"
        );
    }

    #[test]
    fn what_cannot_travel_is_cut_to_its_header() {
        let too_large = [b"A: b\r\n\r\n".as_slice(), &b"text\r\n".repeat(20_000)].concat();
        let long_line = [b"A: b\r\n\r\n".as_slice(), &[b'x'; 999]].concat();
        for content in [
            &too_large,
            &long_line,
            b"A: b\r\n\r\n\xff".as_slice(),
            b"A: b\n\nx\n",
        ] {
            let line = first_line(Original::Full(content));
            assert_eq!(line, "Content-Type: text/rfc822-headers");
        }
    }

    #[test]
    fn a_broken_header_is_encoded() {
        let part = Original::Headers(b"Subject: \xfc\0\r\n\r\n").part();
        assert!(
            part.ends_with("quoted-printable\r\n\r\nSubject: =FC=00\r\n"),
            "{part}"
        );
    }

    #[test]
    fn a_huge_field_is_left_out() {
        let huge = [
            b"A: b\r\nX: ".as_slice(),
            &b"y\r\n ".repeat(20_000),
            b"\r\nC: d\r\n",
        ]
        .concat();
        let part = Original::Headers(&huge).part();
        assert!(part.ends_with("\r\n\r\nA: b\r\nC: d\r\n"), "{part}");
    }
}
