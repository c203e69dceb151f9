//! Decoding what follows DATA (RFC 5321 §4.5.2): dot-unstuffing, and the rules for lines.
//!
//! Only CR LF `.` CR LF ends content, and CR and LF occur as CR LF only (RFC 5321 §2.3.8): a
//! server that is lenient in either can be made to see a second message within the first, which
//! is SMTP smuggling. Content that breaks a rule is thus refused, yet read to its true end.

use memchr::memchr3;

use super::replies;
use crate::reply::Reply;

/// Why content is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    /// More than so many octets in whole.
    TooBig(u64),
    /// A line of more than so many octets, with CR LF.
    LineTooLong(usize),
    /// A CR that no LF follows.
    BareCr,
    /// An LF that follows no CR.
    BareLf,
    /// A NUL.
    Nul,
}

impl Violation {
    /// The answer after the final dot.
    pub(super) fn reply(self) -> Reply {
        match self {
            Self::TooBig(limit) => replies::too_big(limit),
            Self::LineTooLong(limit) => {
                replies::bad_content(&format!("A line is longer than {limit} octets"))
            }
            Self::BareCr => {
                replies::bad_content("A CR without LF; lines must end in CR LF (RFC 5321 2.3.8)")
            }
            Self::BareLf => {
                replies::bad_content("An LF without CR; lines must end in CR LF (RFC 5321 2.3.8)")
            }
            Self::Nul => {
                replies::bad_content("A NUL octet; binary content must be encoded (RFC 5321 2.3.8)")
            }
        }
    }
}

/// Where in a line the next octet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Behind CR LF, or at the very start.
    LineStart,
    /// Behind a dot at the start of a line, which is dropped.
    Dot,
    /// Behind such a dot and a CR: LF ends the content.
    DotCr,
    /// Within a line.
    Text,
    /// Behind a CR within a line.
    Cr,
}

/// What one call to [`Decoder::decode`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    /// So many octets at the front of the input are content now.
    pub(super) content: usize,
    /// So many octets of the input were read; less than all only at the end of the content.
    pub(super) consumed: usize,
    /// Whether the content has ended.
    pub(super) ended: bool,
}

/// An incremental decoder, in place. It jumps from line end to line end with `memchr`, and moves
/// octets only behind a dot that it drops.
#[derive(Debug)]
pub(super) struct Decoder {
    position: Position,
    max_size: u64,
    max_line: usize,
    /// Octets of content so far.
    size: u64,
    /// Octets of the current line so far.
    line: usize,
    violation: Option<Violation>,
}

impl Decoder {
    /// A decoder at the start of content.
    pub(super) fn new(max_size: u64, max_line: usize) -> Self {
        Self {
            position: Position::LineStart,
            max_size,
            max_line,
            size: 0,
            line: 0,
            violation: None,
        }
    }

    /// The first rule broken so far. From there on there is no content, only its end.
    pub(super) fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// Decodes the next piece of input in place.
    pub(super) fn decode(&mut self, input: &mut [u8]) -> Decoded {
        let mut content = Compaction::default();
        let mut at = 0;
        let mut ended = false;
        while let Some(&byte) = input.get(at) {
            match (self.position, byte) {
                (Position::LineStart, b'.') => {
                    content.drop_at(input, at);
                    at += 1;
                    self.position = Position::Dot;
                }
                (Position::Dot, b'\r') => {
                    // Not content if an LF follows, and refused if not.
                    content.drop_at(input, at);
                    at += 1;
                    self.position = Position::DotCr;
                }
                (Position::DotCr, b'\n') => {
                    content.drop_at(input, at);
                    at += 1;
                    ended = true;
                    break;
                }
                (Position::Cr, b'\n') => {
                    at += 1;
                    self.count(1);
                    self.line = 0;
                    self.position = Position::LineStart;
                }
                (Position::DotCr | Position::Cr, _) => {
                    self.violate(Violation::BareCr);
                    self.position = Position::Text;
                }
                (Position::LineStart | Position::Dot | Position::Text, _) => {
                    at += self.read_text(input.get(at..).unwrap_or_default());
                }
            }
        }
        let content = content.finish(input, at);
        Decoded {
            content: if self.violation.is_none() { content } else { 0 },
            consumed: at,
            ended,
        }
    }

    /// Reads up to and including the next octet that matters; gives the number of octets read.
    fn read_text(&mut self, input: &[u8]) -> usize {
        self.position = Position::Text;
        let Some(found) = memchr3(b'\r', b'\n', 0, input) else {
            self.count(input.len());
            return input.len();
        };
        self.count(found);
        match input.get(found) {
            Some(b'\r') => {
                self.count(1);
                self.position = Position::Cr;
            }
            Some(b'\n') => self.violate(Violation::BareLf),
            _ => self.violate(Violation::Nul),
        }
        found + 1
    }

    /// Counts octets of content. Of two limits the one exceeded by more was exceeded first, so
    /// the verdict does not depend on how the input is cut.
    fn count(&mut self, octets: usize) {
        self.size += octets as u64;
        self.line += octets;
        let excess = self.size.saturating_sub(self.max_size);
        let line_excess = self.line.saturating_sub(self.max_line) as u64;
        if excess == 0 && line_excess == 0 {
            return;
        }
        if excess >= line_excess {
            self.violate(Violation::TooBig(self.max_size));
        } else {
            self.violate(Violation::LineTooLong(self.max_line));
        }
    }

    fn violate(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }
}

/// Closes the gaps that dropped octets leave, moving each run of content at most once.
#[derive(Default)]
struct Compaction {
    /// Content that is in place.
    written: usize,
    /// Where the run of content starts that is not in place yet.
    run: usize,
}

impl Compaction {
    /// Drops the octet at `at`.
    fn drop_at(&mut self, input: &mut [u8], at: usize) {
        self.place_run(input, at);
        self.run = at + 1;
    }

    /// The length of the content, with the last run that ends at `end`.
    fn finish(mut self, input: &mut [u8], end: usize) -> usize {
        self.place_run(input, end);
        self.written
    }

    fn place_run(&mut self, input: &mut [u8], end: usize) {
        if self.run != self.written {
            input.copy_within(self.run..end, self.written);
        }
        self.written += end - self.run;
    }
}

#[cfg(test)]
mod tests;
