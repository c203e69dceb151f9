//! Reading replies from a server, however they are cut into packets.

use bytes::{Buf, BytesMut};
use memchr::memchr;
use thiserror::Error;

use crate::reply::{Reply, ReplyCode};
use crate::status::EnhancedStatus;

/// Longest line accepted from a server, in octets; RFC 5321 §4.5.3.1.5 asks for 512.
const MAX_LINE: usize = 2_048;
/// Most lines accepted in one reply.
const MAX_LINES: usize = 100;

/// Why what a server sent is no reply. The connection cannot be used any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// A line does not start with three digits and a space, a hyphen or its end.
    #[error("the server's line is no reply")]
    Malformed,
    /// A line exceeds 2,048 octets.
    #[error("a line of the server's reply is longer than 2,048 octets")]
    LineTooLong,
    /// The reply exceeds 100 lines.
    #[error("the server's reply has more than 100 lines")]
    TooManyLines,
}

/// An incremental parser for the replies of a server.
///
/// It is tolerant where servers differ: text may be missing, lines may end in a bare LF, and of
/// several codes in one reply the last counts. It is bounded in line length and line count.
#[derive(Debug, Default)]
pub struct ReplyParser {
    status: Option<EnhancedStatus>,
    lines: Vec<String>,
}

impl ReplyParser {
    /// A parser at the start of a reply.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes whole lines off the front of `input`, up to the end of one reply. `None` asks for
    /// more input; what is left in `input` is then less than one line.
    ///
    /// # Errors
    /// Any [`ReplyError`]; the parser is of no use afterwards.
    pub fn parse(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, ReplyError> {
        while let Some(end) = find_line(input)? {
            let line = input.split_to(end);
            input.advance(1);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if let Some(code) = self.push_line(line)? {
                return Ok(Some(Reply {
                    code,
                    status: self.status.take(),
                    lines: std::mem::take(&mut self.lines),
                }));
            }
        }
        Ok(None)
    }

    /// Adds one line; gives the code if it was the last.
    fn push_line(&mut self, line: &[u8]) -> Result<Option<ReplyCode>, ReplyError> {
        let (code, rest) = split_code(line).ok_or(ReplyError::Malformed)?;
        let (is_last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return Err(ReplyError::Malformed),
        };
        if self.lines.len() == MAX_LINES {
            return Err(ReplyError::TooManyLines);
        }
        let text = String::from_utf8_lossy(text);
        let text = self.strip_status(code, &text).to_owned();
        self.lines.push(text);
        Ok(is_last.then_some(code))
    }

    /// Takes the enhanced status off the front, if its class agrees with the code (RFC 2034 §4).
    /// The first status of a reply counts; a line that differs from it keeps its own as text.
    fn strip_status<'a>(&mut self, code: ReplyCode, text: &'a str) -> &'a str {
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        let Ok(status) = first.parse::<EnhancedStatus>() else {
            return text;
        };
        let agrees = u16::from(status.class().digit()) == code.as_u16() / 100;
        if agrees && *self.status.get_or_insert(status) == status {
            rest
        } else {
            text
        }
    }
}

/// The position of the next LF, if a whole line has arrived.
fn find_line(input: &[u8]) -> Result<Option<usize>, ReplyError> {
    let end = memchr(b'\n', input);
    if end.unwrap_or(input.len()) > MAX_LINE {
        return Err(ReplyError::LineTooLong);
    }
    Ok(end)
}

fn split_code(line: &[u8]) -> Option<(ReplyCode, &[u8])> {
    let (digits, rest) = line.split_first_chunk::<3>()?;
    if !matches!(digits[0], b'2'..=b'5') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits
        .iter()
        .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    Some((ReplyCode::new(code), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(input: &[u8]) -> Result<Option<Reply>, ReplyError> {
        ReplyParser::new().parse(&mut BytesMut::from(input))
    }

    fn shown(input: &str) -> String {
        parse(input.as_bytes()).unwrap().unwrap().to_string()
    }

    #[test]
    fn servers_differ() {
        assert_eq!(shown("250 2.1.0 OK\r\n"), "250 2.1.0 OK");
        assert_eq!(shown("250\r\n"), "250 ");
        assert_eq!(shown("250 OK\n"), "250 OK");
        assert_eq!(shown("250-a\r\n250-b\n250 c\r\n"), "250 a / b / c");
        assert_eq!(shown("250-a\r\n550 b\r\n"), "550 a / b");
        assert_eq!(shown("550-5.1.1 a\r\n550 5.1.1 b\r\n"), "550 5.1.1 a / b");
        assert_eq!(shown("550 5.1.1\r\n"), "550 5.1.1 ");
        assert_eq!(shown("220 \u{e9}\r\n"), "220 \u{e9}");
    }

    #[test]
    fn a_status_counts_only_where_it_agrees() {
        let reply = parse(b"450 5.1.1 a\r\n").unwrap().unwrap();
        assert_eq!(reply.status, None);
        assert_eq!(reply.lines, ["5.1.1 a"]);
        let reply = parse(b"550-5.1.1 a\r\n550 5.7.1 b\r\n").unwrap().unwrap();
        assert_eq!(reply.status, Some(EnhancedStatus::new(5, 1, 1)));
        assert_eq!(reply.lines, ["a", "5.7.1 b"]);
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        for input in [
            b"hello\r\n".as_slice(),
            b"25\r\n",
            b"250x\r\n",
            b"199 a\r\n",
            b"650 a\r\n",
        ] {
            assert_eq!(parse(input), Err(ReplyError::Malformed), "{input:?}");
        }
        assert_eq!(parse(b"250-a\r\n"), Ok(None));
        assert_eq!(parse(&b"2".repeat(2_049)), Err(ReplyError::LineTooLong));
        assert_eq!(
            parse(&b"250-a\r\n".repeat(101)),
            Err(ReplyError::TooManyLines)
        );
    }

    #[test]
    fn the_next_reply_is_left_in_the_input() {
        let mut parser = ReplyParser::new();
        let mut input = BytesMut::from(&b"250-5.0.0 a\r\n250 b\r\n354 c\r\n4"[..]);
        let mut replies = Vec::new();
        while let Some(reply) = parser.parse(&mut input).unwrap() {
            replies.push(reply.to_string());
        }
        assert_eq!(replies, ["250 5.0.0 a / b", "354 c"]);
        assert_eq!(input.as_ref(), b"4");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            code in 200_u16..600,
            has_status in any::<bool>(),
            lines in prop::collection::vec("[a-z][ -~]{0,60}", 1..10),
            size in 1_usize..20,
        ) {
            let class = u8::try_from(code / 100).unwrap();
            let status = EnhancedStatus::new(class, 1, 10);
            let reply = Reply {
                code: ReplyCode::new(code),
                status: Some(status).filter(|_| has_status && class != 3),
                lines,
            };
            let mut wire = BytesMut::new();
            reply.write_to(&mut wire);
            let (mut parser, mut input) = (ReplyParser::new(), BytesMut::new());
            let mut read = None;
            for piece in wire.chunks(size) {
                input.extend_from_slice(piece);
                read = read.or(parser.parse(&mut input).unwrap());
            }
            prop_assert_eq!(read, Some(reply));
        }
    }
}
