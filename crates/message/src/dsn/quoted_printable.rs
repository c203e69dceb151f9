//! Quoted-printable (RFC 2045 §6.7).

use std::fmt::Write as _;

/// Longest encoded line, without its CRLF and without the `=` of a soft line break.
const MAX_LINE: usize = 75;

/// Encodes octets; CRLF stays a line break, a lone CR or LF is encoded.
pub(super) fn encode(octets: &[u8]) -> String {
    let mut output = String::with_capacity(octets.len() + octets.len() / 4);
    let mut column = 0;
    let mut rest = octets;
    while let Some((&byte, after)) = rest.split_first() {
        if let Some(next_line) = rest.strip_prefix(b"\r\n") {
            output.push_str("\r\n");
            (column, rest) = (0, next_line);
            continue;
        }
        let ends_line = after.is_empty() || after.starts_with(b"\r\n");
        let literal = match byte {
            b'=' => false,
            b'!'..=b'~' => true,
            // A space at the end of a line may get lost on the way.
            b' ' | b'\t' => !ends_line,
            _ => false,
        };
        let width = if literal { 1 } else { 3 };
        if column + width > MAX_LINE {
            output.push_str("=\r\n");
            column = 0;
        }
        if literal {
            output.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(output, "={byte:02X}");
        }
        column += width;
        rest = after;
    }
    output
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use mail_parser::decoders::quoted_printable::quoted_printable_decode;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_must_be_is_encoded() {
        assert_eq!(encode(b"a b=\xff \r\n\rc\n"), "a b=3D=FF=20\r\n=0Dc=0A");
    }

    proptest! {
        #[test]
        fn it_decodes_to_the_same_octets(octets in prop::collection::vec(any::<u8>(), 0..400)) {
            let encoded = encode(&octets);
            prop_assert!(encoded.is_ascii());
            prop_assert!(encoded.split("\r\n").all(|line| line.len() <= 76));
            prop_assert_eq!(quoted_printable_decode(encoded.as_bytes()).unwrap(), octets);
        }
    }
}
