//! Small encodings of text on the wire.

use std::fmt::Write as _;

use thiserror::Error;

/// Whether a byte may stand in a reply as it is: printable ASCII and space.
pub(crate) fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// The text is not xtext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not xtext (RFC 3461 §4)")]
pub struct XtextError;

/// Decodes xtext: printable ASCII with `+` and two upper-case hexadecimal digits for the rest
/// (RFC 3461 §4).
///
/// # Errors
/// When a character may not stand in xtext, an escape is cut off, or it stands for something
/// other than a printable ASCII character: decoded control characters would be an injection.
pub fn xtext_decode(text: &str) -> Result<String, XtextError> {
    let mut decoded = String::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'+' => {
                let mut digit = || bytes.next().and_then(hex_digit).ok_or(XtextError);
                (digit()? << 4) | digit()?
            }
            b'=' | b' ' => return Err(XtextError),
            _ => byte,
        };
        if !is_printable(byte) {
            return Err(XtextError);
        }
        decoded.push(char::from(byte));
    }
    Ok(decoded)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Encodes a text as xtext (RFC 3461 §4).
#[must_use]
pub fn xtext_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b'!'..=b'~') && !matches!(byte, b'+' | b'=') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "+{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xtext_is_decoded_and_encoded() {
        assert_eq!(xtext_decode("e+3Dmc2@a.b").as_deref(), Ok("e=mc2@a.b"));
        assert_eq!(xtext_encode("e=mc2 +@a.b"), "e+3Dmc2+20+2B@a.b");
        assert_eq!(xtext_decode("<>").as_deref(), Ok("<>"));
    }

    #[test]
    fn what_is_not_xtext_is_refused() {
        for text in ["a=b", "a b", "a+", "a+3", "a+3d", "a+0D", "é"] {
            assert_eq!(xtext_decode(text), Err(XtextError), "{text}");
        }
    }
}
