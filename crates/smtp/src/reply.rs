//! Replies: what a server says (RFC 5321 §4.2).

use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::status::EnhancedStatus;
use crate::text::is_printable;

/// Longest line of a reply, in octets with its CR LF (RFC 5321 §4.5.3.1.5).
const MAX_LINE: usize = 512;

/// The three digits in front of a reply (RFC 5321 §4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplyCode(u16);

impl ReplyCode {
    /// System status, or reply to HELP.
    pub const STATUS: Self = Self(211);
    /// Help message.
    pub const HELP: Self = Self(214);
    /// Greeting: the service is ready.
    pub const READY: Self = Self(220);
    /// The service closes the connection.
    pub const CLOSING: Self = Self(221);
    /// Authentication succeeded (RFC 4954 §6).
    pub const AUTHENTICATED: Self = Self(235);
    /// The requested action is done.
    pub const OK: Self = Self(250);
    /// The recipient cannot be verified, but mail for it is accepted.
    pub const CANNOT_VERIFY: Self = Self(252);
    /// A SASL challenge (RFC 4954 §4).
    pub const CHALLENGE: Self = Self(334);
    /// Go ahead with the content.
    pub const START_MAIL_INPUT: Self = Self(354);
    /// The service is not available and closes the connection.
    pub const UNAVAILABLE: Self = Self(421);
    /// The mailbox is busy, or policy says not now.
    pub const MAILBOX_BUSY: Self = Self(450);
    /// A local error; nothing was done.
    pub const LOCAL_ERROR: Self = Self(451);
    /// Too little storage, or too many recipients.
    pub const INSUFFICIENT_STORAGE: Self = Self(452);
    /// Authentication failed for a passing reason (RFC 4954 §6), or TLS is not available now.
    pub const TEMPORARY_AUTH_FAILURE: Self = Self(454);
    /// Syntax error: the command is not recognised.
    pub const SYNTAX_ERROR: Self = Self(500);
    /// Syntax error in parameters or arguments.
    pub const ARGUMENT_ERROR: Self = Self(501);
    /// The command is known but not implemented.
    pub const NOT_IMPLEMENTED: Self = Self(502);
    /// Bad sequence of commands.
    pub const BAD_SEQUENCE: Self = Self(503);
    /// A command parameter is not implemented.
    pub const PARAMETER_NOT_IMPLEMENTED: Self = Self(504);
    /// Authentication or TLS is required first (RFC 4954 §6, RFC 3207 §4).
    pub const AUTH_REQUIRED: Self = Self(530);
    /// The credentials are wrong (RFC 4954 §6).
    pub const BAD_CREDENTIALS: Self = Self(535);
    /// The mechanism needs encryption (RFC 4954 §6).
    pub const ENCRYPTION_REQUIRED: Self = Self(538);
    /// The mailbox is unavailable, or policy refuses.
    pub const MAILBOX_UNAVAILABLE: Self = Self(550);
    /// The message exceeds the storage allowed.
    pub const EXCEEDED_STORAGE: Self = Self(552);
    /// The name of the mailbox is not allowed.
    pub const BAD_MAILBOX_NAME: Self = Self(553);
    /// The transaction failed.
    pub const TRANSACTION_FAILED: Self = Self(554);
    /// Parameters of MAIL or RCPT are not recognised or not implemented.
    pub const BAD_MAIL_PARAMETERS: Self = Self(555);

    /// A code of 200 to 599. Anything else becomes 451: our own mistake is never a client's
    /// permanent failure.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        if matches!(code, 200..=599) {
            Self(code)
        } else {
            Self::LOCAL_ERROR
        }
    }

    /// The number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// 2yz: done.
    #[must_use]
    pub const fn is_positive_completion(self) -> bool {
        self.0 / 100 == 2
    }

    /// 3yz: go on.
    #[must_use]
    pub const fn is_intermediate(self) -> bool {
        self.0 / 100 == 3
    }

    /// 4yz: not now.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        self.0 / 100 == 4
    }

    /// 5yz: not this way.
    #[must_use]
    pub const fn is_permanent(self) -> bool {
        self.0 / 100 == 5
    }
}

impl From<u16> for ReplyCode {
    fn from(code: u16) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

/// A whole reply: a code, perhaps an enhanced status (RFC 2034), and one or more lines of text.
///
/// The text may be anything; what cannot stand in a reply is replaced on the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: ReplyCode,
    /// The enhanced status, which starts every line.
    pub status: Option<EnhancedStatus>,
    /// The text of each line, without code and status.
    pub lines: Vec<String>,
}

impl Reply {
    /// A reply of one line. Neither the codes 3yz nor the replies to HELO and EHLO bear a status
    /// (RFC 2034 §3).
    #[must_use]
    pub fn new(
        code: impl Into<ReplyCode>,
        status: impl Into<Option<EnhancedStatus>>,
        text: impl Into<String>,
    ) -> Self {
        Self {
            code: code.into(),
            status: status.into(),
            lines: vec![text.into()],
        }
    }

    /// `250 2.0.0`: done.
    #[must_use]
    pub fn ok(text: impl Into<String>) -> Self {
        Self::new(ReplyCode::OK, EnhancedStatus::new(2, 0, 0), text)
    }

    /// `354`: go ahead with the content.
    #[must_use]
    pub fn start_mail_input() -> Self {
        Self::new(
            ReplyCode::START_MAIL_INPUT,
            None,
            "End data with <CR><LF>.<CR><LF>",
        )
    }

    /// `451 4.3.0`: an internal error, whatever it was; the client keeps the message.
    #[must_use]
    pub fn local_error(text: impl Into<String>) -> Self {
        Self::new(ReplyCode::LOCAL_ERROR, EnhancedStatus::new(4, 3, 0), text)
    }

    /// `421`: the connection is about to be closed, for the reason that `status` names.
    #[must_use]
    pub fn unavailable(status: EnhancedStatus, text: impl Into<String>) -> Self {
        Self::new(ReplyCode::UNAVAILABLE, status, text)
    }

    /// `503 5.5.1`: bad sequence of commands.
    #[must_use]
    pub fn bad_sequence(text: impl Into<String>) -> Self {
        Self::new(ReplyCode::BAD_SEQUENCE, EnhancedStatus::new(5, 5, 1), text)
    }

    /// The same reply with one more line.
    #[must_use]
    pub fn with_line(mut self, text: impl Into<String>) -> Self {
        self.lines.push(text.into());
        self
    }

    /// Writes the wire form: `250-` on all lines but the last, the enhanced status on each line
    /// (RFC 2034 §4), at most 512 octets a line. Whatever is not printable ASCII becomes `?`, so
    /// that a text from elsewhere can never forge a line.
    pub fn write_to(&self, output: &mut BytesMut) {
        let last = self.lines.len().saturating_sub(1);
        if self.lines.is_empty() {
            self.write_line(b' ', "", output);
        }
        for (index, text) in self.lines.iter().enumerate() {
            let separator = if index == last { b' ' } else { b'-' };
            self.write_line(separator, text, output);
        }
    }

    fn write_line(&self, separator: u8, text: &str, output: &mut BytesMut) {
        let start = output.len();
        output.put_slice(self.code.to_string().as_bytes());
        output.put_u8(separator);
        if let Some(status) = self.status {
            output.put_slice(status.to_string().as_bytes());
            output.put_u8(b' ');
        }
        let room = MAX_LINE - 2 - (output.len() - start);
        for byte in text.chars().map(printable_or_question_mark).take(room) {
            output.put_u8(byte);
        }
        output.put_slice(b"\r\n");
    }
}

fn printable_or_question_mark(c: char) -> u8 {
    u8::try_from(c)
        .ok()
        .filter(|byte| is_printable(*byte))
        .unwrap_or(b'?')
}

impl fmt::Display for Reply {
    /// One line for logs: `550 5.1.1 No such user / See https://example.org`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)?;
        if let Some(status) = self.status {
            write!(f, " {status}")?;
        }
        for (index, text) in self.lines.iter().enumerate() {
            f.write_str(if index == 0 { " " } else { " / " })?;
            for c in text.chars() {
                fmt::Write::write_char(f, if c.is_control() { '?' } else { c })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(reply: &Reply) -> String {
        let mut output = BytesMut::new();
        reply.write_to(&mut output);
        String::from_utf8(output.to_vec()).unwrap()
    }

    #[test]
    fn every_line_has_code_and_status() {
        let reply = Reply::new(550, EnhancedStatus::new(5, 1, 1), "No such user")
            .with_line("See example.org");
        assert_eq!(
            wire(&reply),
            "550-5.1.1 No such user\r\n550 5.1.1 See example.org\r\n"
        );
        assert_eq!(
            reply.to_string(),
            "550 5.1.1 No such user / See example.org"
        );
    }

    #[test]
    fn a_text_cannot_forge_a_line() {
        let reply = Reply::new(250, None, "a\r\n250 b\0\u{7f}é");
        assert_eq!(wire(&reply), "250 a??250 b???\r\n");
        assert_eq!(reply.to_string(), "250 a??250 b??é");
    }

    #[test]
    fn lines_are_cut_to_512_octets() {
        let long = wire(&Reply::ok("x".repeat(1_000)));
        assert_eq!(long.len(), 512);
        assert!(long.ends_with("x\r\n"));
    }

    #[test]
    fn a_reply_without_lines_is_still_a_reply() {
        let reply = Reply {
            code: ReplyCode::OK,
            status: None,
            lines: Vec::new(),
        };
        assert_eq!(wire(&reply), "250 \r\n");
    }

    #[test]
    fn codes_out_of_range_become_451() {
        assert_eq!(ReplyCode::new(99), ReplyCode::LOCAL_ERROR);
        assert_eq!(ReplyCode::from(600), ReplyCode::LOCAL_ERROR);
        assert_eq!(ReplyCode::new(554), ReplyCode::TRANSACTION_FAILED);
    }
}
