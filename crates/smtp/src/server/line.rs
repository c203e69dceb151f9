//! Cutting the input into command lines.

use bytes::{Buf, BytesMut};
use memchr::memchr;

use super::replies;
use crate::reply::Reply;

/// Why a line is no command. Each is answered once, and the next line is read as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineError {
    /// Longer than the limit.
    TooLong,
    /// Ended by an LF without CR.
    BareLf,
    /// Has a control character in it, such as NUL or a bare CR.
    ControlCharacter,
}

impl LineError {
    /// The answer to such a line.
    pub(super) fn reply(self) -> Reply {
        replies::bad_line(match self {
            Self::TooLong => "Line too long",
            Self::BareLf => "Lines must end in CR LF (RFC 5321 2.3.8)",
            Self::ControlCharacter => "Control characters are not allowed in commands",
        })
    }
}

/// Finds lines, remembering how far it looked and whether it is inside a line that is too long.
#[derive(Debug, Default)]
pub(super) struct LineReader {
    scanned: usize,
    skipping: bool,
}

impl LineReader {
    /// Takes the next line off the input, without its CR LF. `limit` is in octets with CR LF.
    /// `None` asks for more input, of which at most `limit` octets are held.
    pub(super) fn next(
        &mut self,
        input: &mut BytesMut,
        limit: usize,
    ) -> Option<Result<BytesMut, LineError>> {
        let unseen = input.get(self.scanned..).unwrap_or_default();
        let Some(offset) = memchr(b'\n', unseen) else {
            self.await_more(input, limit);
            return None;
        };
        let length = self.scanned + offset + 1;
        let line = input.split_to(length);
        let skipped = std::mem::take(self).skipping;
        if skipped || length > limit {
            return Some(Err(LineError::TooLong));
        }
        Some(check(line))
    }

    fn await_more(&mut self, input: &mut BytesMut, limit: usize) {
        self.skipping |= input.len() >= limit;
        if self.skipping {
            input.advance(input.len());
        }
        self.scanned = input.len();
    }
}

fn check(mut line: BytesMut) -> Result<BytesMut, LineError> {
    if !line.ends_with(b"\r\n") {
        return Err(LineError::BareLf);
    }
    line.truncate(line.len() - 2);
    if line.iter().any(u8::is_ascii_control) {
        return Err(LineError::ControlCharacter);
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]], limit: usize) -> Vec<Result<Vec<u8>, LineError>> {
        let mut reader = LineReader::default();
        let mut input = BytesMut::new();
        let mut lines = Vec::new();
        for chunk in chunks {
            input.extend_from_slice(chunk);
            while let Some(line) = reader.next(&mut input, limit) {
                lines.push(line.map(|line| line.to_vec()));
            }
            assert!(input.len() < limit);
        }
        lines
    }

    #[test]
    fn lines_end_in_crlf() {
        assert_eq!(
            lines(&[b"NOOP\r", b"\nQU", b"IT\r\n\r\n"], 16),
            [Ok(b"NOOP".to_vec()), Ok(b"QUIT".to_vec()), Ok(vec![])]
        );
    }

    #[test]
    fn a_bare_lf_or_cr_or_nul_refuses_the_line() {
        assert_eq!(
            lines(&[b"a\nb\rc\r\nd\0\r\ne\r\n"], 16),
            [
                Err(LineError::BareLf),
                Err(LineError::ControlCharacter),
                Err(LineError::ControlCharacter),
                Ok(b"e".to_vec())
            ]
        );
    }

    #[test]
    fn the_limit_counts_crlf_however_the_line_is_cut() {
        assert_eq!(lines(&[b"12345678\r\n"], 10), [Ok(b"12345678".to_vec())]);
        let too_long = [Err(LineError::TooLong), Ok(b"x".to_vec())];
        assert_eq!(lines(&[b"123456789\r\nx\r\n"], 10), too_long);
        assert_eq!(lines(&[b"123456789\r", b"\nx\r\n"], 10), too_long);
        assert_eq!(lines(&[b"123456789012", b"3456\r\nx\r\n"], 10), too_long);
    }
}
