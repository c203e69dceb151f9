//! Content on its way out: dot-stuffing without copying (RFC 5321 §4.5.2).

use std::vec;

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr_iter, memmem};
use thiserror::Error;

/// Runs between stuffed dots that are shorter than this are gathered into one chunk.
const SHORT_RUN: usize = 1_024;
/// Size at which a gathered chunk is handed out, in octets.
const GATHERED: usize = 16 * 1_024;

/// Why content must not be sent: a server that takes a bare CR or LF for the end of a line could
/// see an end of data where there is none, and commands in what follows (SMTP smuggling).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ContentError {
    /// A CR that no LF follows (RFC 5321 §2.3.8).
    #[error("the content has a bare CR")]
    BareCr,
    /// An LF that no CR precedes (RFC 5321 §2.3.8).
    #[error("the content has a bare LF")]
    BareLf,
}

/// Content as it goes on the wire after DATA, up to but without the final dot: an iterator over
/// chunks that are slices of the content itself, except where lines that start with a dot are
/// crowded together.
///
/// The whole content is checked before the first chunk, so that nothing fails half-way.
#[derive(Clone, Debug)]
pub struct Encoder {
    size: u64,
    parts: vec::IntoIter<Bytes>,
    rest: Bytes,
    at_line_start: bool,
    /// A run that came up while shorter ones were gathered.
    next: Option<Bytes>,
}

impl Encoder {
    /// Takes content in consecutive parts: a prefix of trace fields and the message, say. If the
    /// content does not end with CR LF, that is added (RFC 5321 §4.1.1.4).
    ///
    /// # Errors
    /// [`ContentError`], wherever in the content it is.
    pub fn new(parts: impl IntoIterator<Item = Bytes>) -> Result<Self, ContentError> {
        let mut parts: Vec<Bytes> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        check_line_ends(&parts)?;
        if parts.last().is_some_and(|part| !part.ends_with(b"\n")) {
            parts.push(Bytes::from_static(b"\r\n"));
        }
        Ok(Self {
            size: parts.iter().map(|part| part.len() as u64).sum(),
            parts: parts.into_iter(),
            rest: Bytes::new(),
            at_line_start: true,
            next: None,
        })
    }

    /// The size of the whole content in octets as `SIZE=` counts it: with CR LFs, without stuffed
    /// dots and the final one (RFC 1870 §4).
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The longest slice up to the end of a part, or up to and with a dot at the start of a line.
    /// That dot also starts the next run: so it is on the wire twice without a copy.
    fn next_run(&mut self) -> Option<Bytes> {
        if self.rest.is_empty() {
            self.rest = self.parts.next()?;
            if self.at_line_start && self.rest.first() == Some(&b'.') {
                self.at_line_start = false;
                return Some(self.rest.slice(..1));
            }
        }
        match memmem::find(&self.rest, b"\n.") {
            Some(line_end) => {
                let run = self.rest.slice(..line_end + 2);
                self.rest.advance(line_end + 1);
                Some(run)
            }
            None => {
                self.at_line_start = self.rest.last() == Some(&b'\n');
                Some(std::mem::take(&mut self.rest))
            }
        }
    }

    /// Gathers a short run and those after it, as long as they are short.
    fn gather(&mut self, first: &Bytes) -> Bytes {
        let mut gathered = BytesMut::with_capacity(GATHERED + SHORT_RUN);
        gathered.extend_from_slice(first);
        while gathered.len() < GATHERED {
            match self.next_run() {
                Some(run) if run.len() < SHORT_RUN => gathered.extend_from_slice(&run),
                long_or_none => {
                    self.next = long_or_none;
                    break;
                }
            }
        }
        gathered.freeze()
    }
}

impl Iterator for Encoder {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if let Some(run) = self.next.take() {
            return Some(run);
        }
        let run = self.next_run()?;
        // The end of a part may be short: it goes out as it is, for there are few parts.
        if run.len() < SHORT_RUN && !self.rest.is_empty() {
            return Some(self.gather(&run));
        }
        Some(run)
    }
}

/// Checks that CR and LF only come as pairs. If a CR stands before each LF, and there are as many
/// of the one as of the other, then an LF stands after each CR.
fn check_line_ends(parts: &[Bytes]) -> Result<(), ContentError> {
    let mut previous = None;
    let (mut crs, mut lfs) = (0_usize, 0_usize);
    for part in parts {
        for at in memchr_iter(b'\n', part) {
            let before = match at.checked_sub(1) {
                Some(before) => part.get(before),
                None => previous,
            };
            if before != Some(&b'\r') {
                return Err(ContentError::BareLf);
            }
            lfs += 1;
        }
        crs += memchr_iter(b'\r', part).count();
        previous = part.last();
    }
    if crs == lfs {
        Ok(())
    } else {
        Err(ContentError::BareCr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoder(parts: &[&[u8]]) -> Result<Encoder, ContentError> {
        Encoder::new(parts.iter().map(|part| Bytes::copy_from_slice(part)))
    }

    fn encoded(parts: &[&[u8]]) -> Vec<u8> {
        encoder(parts).unwrap().flatten().collect()
    }

    #[test]
    fn dots_at_the_start_of_a_line_are_doubled() {
        for (content, expected) in [
            (b"".as_slice(), b"".as_slice()),
            (b".", b"..\r\n"),
            (b".\r\n", b"..\r\n"),
            (b"..\r\n", b"...\r\n"),
            (b"a.\r\n.b\r\n", b"a.\r\n..b\r\n"),
            (b"a\r\n.\r\n.\r\nb", b"a\r\n..\r\n..\r\nb\r\n"),
            (b"\r\n.", b"\r\n..\r\n"),
        ] {
            assert_eq!(encoded(&[content]), expected);
            // However the content is divided.
            for cut in 0..content.len() {
                let (head, tail) = content.split_at(cut);
                assert_eq!(
                    encoded(&[head, b"", tail]),
                    expected,
                    "{content:?} at {cut}"
                );
            }
            let octets: Vec<&[u8]> = content.chunks(1).collect();
            assert_eq!(encoded(&octets), expected);
        }
    }

    #[test]
    fn bare_cr_and_lf_are_refused_wherever_they_are() {
        for (content, expected) in [
            (b"\n".as_slice(), ContentError::BareLf),
            (b"a\n.\r\n", ContentError::BareLf),
            (b"a\r\n\n", ContentError::BareLf),
            (b"\r", ContentError::BareCr),
            (b"a\r.\r\n", ContentError::BareCr),
            (b"a\r\r\n", ContentError::BareCr),
            (b"a\r\n\r", ContentError::BareCr),
            (b"a\n\r", ContentError::BareLf),
        ] {
            for cut in 0..content.len() {
                let (head, tail) = content.split_at(cut);
                let error = encoder(&[head, tail]).unwrap_err();
                assert_eq!(error, expected, "{content:?} at {cut}");
            }
        }
    }

    #[test]
    fn size_counts_neither_stuffed_dots_nor_the_final_one() {
        assert_eq!(encoder(&[b""]).unwrap().size(), 0);
        assert_eq!(encoder(&[b"a: b\r\n", b"\r\n.\r\n"]).unwrap().size(), 11);
        assert_eq!(encoder(&[b"a: b\r\n", b"\r\nc"]).unwrap().size(), 11);
    }

    #[test]
    fn chunks_are_slices_of_the_content() {
        let prefix = Bytes::from_static(b"Received: x\r\n");
        let content = Bytes::from(b"twelve bytes\r\n".repeat(1_000));
        let chunks: Vec<Bytes> = Encoder::new([prefix.clone(), content.clone()])
            .unwrap()
            .collect();
        let addresses: Vec<_> = chunks
            .iter()
            .map(|chunk| (chunk.as_ptr(), chunk.len()))
            .collect();
        assert_eq!(
            addresses,
            [
                (prefix.as_ptr(), prefix.len()),
                (content.as_ptr(), content.len())
            ]
        );
    }

    #[test]
    fn a_dot_far_from_others_costs_no_copy() {
        let lines = b"twelve bytes\r\n".repeat(1_000);
        let content = Bytes::from([lines.as_slice(), b".\r\n", &lines].concat());
        let chunks: Vec<Bytes> = Encoder::new([content.clone()]).unwrap().collect();
        assert_eq!(chunks.len(), 2);
        let owned = content.as_ptr_range();
        assert!(chunks.iter().all(|chunk| owned.contains(&chunk.as_ptr())));
        assert_eq!(chunks.concat().len(), content.len() + 1);
    }

    #[test]
    fn crowded_dots_are_gathered() {
        let content = b".\r\n".repeat(100_000);
        let chunks: Vec<Bytes> = encoder(&[&content]).unwrap().collect();
        assert!(chunks.len() < 50, "{} chunks", chunks.len());
        assert_eq!(chunks.concat(), b"..\r\n".repeat(100_000));
    }
}
