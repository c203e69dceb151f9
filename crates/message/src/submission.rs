//! What a submission server may mend in a message (RFC 6409 §8).

use std::fmt::Write as _;
use std::ops::Range;

use bytes::Bytes;
use time::OffsetDateTime;

use crate::content::joint;
use crate::date::date_time;
use crate::header::Header;

/// Fields that a message must not leave with. `Bcc` would tell every recipient about the hidden
/// ones (RFC 5322 §3.6.3); `Return-Path` is for final delivery alone to write (RFC 5321 §4.4).
const REMOVED: [&str; 3] = ["Bcc", "Resent-Bcc", "Return-Path"];

/// What the added fields are made of.
#[derive(Clone, Copy, Debug)]
pub struct FixUp<'a> {
    /// The right side of an added Message-ID: a domain of ours, so that the id is unique.
    pub message_id_domain: &'a str,
    /// The left side of an added Message-ID.
    pub queue_id: &'a str,
    /// The time of an added Date.
    pub now: OffsetDateTime,
}

/// A mended message, in two parts so that adding fields copies nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The added fields, each ended by CRLF: to be put before the content.
    pub prefix: String,
    /// The content as it came, less the removed fields.
    pub content: Bytes,
}

/// Adds Date and Message-ID when they are missing (RFC 6409 §8.2, §8.3) and takes out Bcc,
/// Resent-Bcc and Return-Path with all their lines. The rest stays octet for octet; it is copied
/// only if something is taken out of its middle.
#[must_use]
pub fn fix_up(content: Bytes, fix: &FixUp<'_>) -> Fixed {
    let mut removed = Vec::new();
    let (mut has_date, mut has_message_id) = (false, false);
    for field in Header::of(&content).fields() {
        has_date |= field.is("Date");
        has_message_id |= field.is("Message-ID");
        if REMOVED.iter().any(|name| field.is(name)) {
            removed.push(field.range());
        }
    }
    let mut prefix = String::new();
    // Writing to a String cannot fail.
    if !has_date {
        let _ = write!(prefix, "Date: {}\r\n", date_time(fix.now));
    }
    if !has_message_id {
        let (id, domain) = (fix.queue_id, fix.message_id_domain);
        let _ = write!(prefix, "Message-ID: <{id}@{domain}>\r\n");
    }
    let content = without(content, &removed);
    prefix.push_str(joint(&content));
    Fixed { prefix, content }
}

/// The content less some ranges of it, which are in order and do not overlap.
fn without(content: Bytes, removed: &[Range<usize>]) -> Bytes {
    if removed.is_empty() {
        return content;
    }
    let mut kept = Vec::with_capacity(content.len());
    let mut from = 0;
    for gap in removed {
        kept.extend_from_slice(content.get(from..gap.start).unwrap_or_default());
        from = gap.end;
    }
    kept.extend_from_slice(content.get(from..).unwrap_or_default());
    kept.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;
    use crate::header::Field;

    const FIX: FixUp<'static> = FixUp {
        message_id_domain: "example.org",
        queue_id: "0193-ab",
        now: datetime!(2026-11-23 10:20:30 UTC),
    };
    const DATE: &str = "Date: Mon, 23 Nov 2026 10:20:30 +0000\r\n";
    const MESSAGE_ID: &str = "Message-ID: <0193-ab@example.org>\r\n";

    fn fixed(content: &'static str) -> String {
        let Fixed { prefix, content } = fix_up(content.into(), &FIX);
        prefix + std::str::from_utf8(&content).unwrap()
    }

    #[test]
    fn what_is_missing_is_added_in_front() {
        assert_eq!(
            fixed("From: a@b\r\n\r\nDate: in body\r\n"),
            format!("{DATE}{MESSAGE_ID}From: a@b\r\n\r\nDate: in body\r\n")
        );
        assert_eq!(
            fixed("date: x\r\n\r\n"),
            format!("{MESSAGE_ID}date: x\r\n\r\n")
        );
        assert_eq!(
            fixed("MESSAGE-Id: x\r\n\r\n"),
            format!("{DATE}MESSAGE-Id: x\r\n\r\n")
        );
        assert_eq!(
            fixed("no header"),
            format!("{DATE}{MESSAGE_ID}\r\nno header")
        );
    }

    #[test]
    fn hidden_fields_go_with_all_their_lines() {
        assert_eq!(
            fixed(
                "Return-Path: <a@b>\r\nDate: x\r\nBCC: c@d,\r\n e@f\r\nMessage-ID: y\r\n\
                 resent-bcc : g@h\r\nbcc:\r\nSubject: Bcc: z\r\n\r\nBcc: body\r\n"
            ),
            "Date: x\r\nMessage-ID: y\r\nSubject: Bcc: z\r\n\r\nBcc: body\r\n"
        );
    }

    #[test]
    fn a_complete_message_is_not_copied() {
        let content = Bytes::from_static(b"Date: x\r\nMessage-ID: y\r\n\r\nbody");
        let fixed = fix_up(content.clone(), &FIX);
        assert_eq!(fixed.content.as_ptr(), content.as_ptr());
        assert_eq!(fixed.prefix, "");
    }

    /// Lines that look like mail: fields to keep, fields to remove, folds, garbage.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(b"Bcc: x@y\r\n".to_vec()),
            Just(b"return-PATH: <>\r\n".to_vec()),
            Just(b"Date: now\r\n".to_vec()),
            Just(b"\tfolded\r\n".to_vec()),
            Just(b"\r\n".to_vec()),
            prop::collection::vec(any::<u8>(), 0..20),
        ]
    }

    proptest! {
        #[test]
        fn the_rest_stays_octet_for_octet(lines in prop::collection::vec(line(), 0..12)) {
            let content = lines.concat();
            let is_kept = |field: &Field<'_>| !REMOVED.iter().any(|name| field.is(name));
            let (header_length, _) = Header::of(&content).end();
            let mut expected: Vec<u8> = Header::of(&content)
                .fields()
                .filter(is_kept)
                .flat_map(|field| field.bytes().to_vec())
                .collect();
            expected.extend_from_slice(&content[header_length..]);

            let fixed = fix_up(content.into(), &FIX);
            prop_assert_eq!(fixed.content, expected);
            for line in fixed.prefix.split_inclusive('\n') {
                let is_ours = line.starts_with("Date: Mon, 23")
                    || line.starts_with("Message-ID: <0193")
                    || line == "\r\n";
                prop_assert!(is_ours, "{line:?}");
            }
        }
    }
}
