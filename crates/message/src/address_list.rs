//! The addresses of an originator field (RFC 5322 §3.4, §3.6.2).
//!
//! Readers of mail disagree about odd forms, and an answer to "may this account write as that
//! address?" must hold for all of them. So this parser is lenient in display names, where clients
//! are sloppy and nothing hangs on it, and refuses every doubt about what the address is.

use smtp::Mailbox;

/// Most addresses in one field.
const MAX_ADDRESSES: usize = 100;

/// The mailboxes of a mailbox-list, group members included; `None` when the text is not one.
pub(crate) fn parse(value: &[u8]) -> Option<Vec<Mailbox>> {
    let mut list = List::default();
    let mut input = value;
    while let Some((&byte, rest)) = input.split_first() {
        input = match byte {
            b'(' => {
                list.push(b' ');
                skip_comment(rest)?
            }
            b'"' => list.copy(input, quoted_length(rest)? + 1)?,
            b'[' => list.copy(input, memchr::memchr(b']', input)? + 1)?,
            _ => {
                list.take(byte)?;
                rest
            }
        };
    }
    list.finish()
}

/// What has been read so far: whole addresses, and the pieces of the next.
#[derive(Default)]
struct List {
    mailboxes: Vec<Mailbox>,
    in_group: bool,
    /// The text outside angle brackets: a display name, or a bare address.
    phrase: Vec<u8>,
    angle: Angle,
}

/// The address in angle brackets.
#[derive(Default)]
enum Angle {
    #[default]
    None,
    Open(Vec<u8>),
    Closed(Vec<u8>),
}

impl List {
    /// Takes one byte outside quotes, comments and literals.
    fn take(&mut self, byte: u8) -> Option<()> {
        let in_angle = matches!(self.angle, Angle::Open(_));
        match byte {
            b'<' if matches!(self.angle, Angle::None) => self.angle = Angle::Open(Vec::new()),
            b'>' if in_angle => match std::mem::take(&mut self.angle) {
                Angle::Open(address) => self.angle = Angle::Closed(address),
                Angle::None | Angle::Closed(_) => return None,
            },
            b',' if !in_angle => self.end_address()?,
            b':' if !in_angle && !self.in_group => self.begin_group()?,
            b';' if !in_angle && self.in_group => {
                self.end_address()?;
                self.in_group = false;
            }
            b'<' | b'>' | b',' | b':' | b';' | b')' | b']' => return None,
            b'\t' | b'\r' | b'\n' => self.push(b' '),
            0..b' ' | 0x7f => return None,
            _ if matches!(self.angle, Angle::Closed(_)) && byte != b' ' => return None,
            _ => self.push(byte),
        }
        Some(())
    }

    /// Takes the first `length` bytes of `input` as they are; gives the rest.
    fn copy<'a>(&mut self, input: &'a [u8], length: usize) -> Option<&'a [u8]> {
        let (piece, rest) = input.split_at_checked(length)?;
        if matches!(self.angle, Angle::Closed(_)) {
            return None;
        }
        piece.iter().for_each(|byte| self.push(*byte));
        Some(rest)
    }

    fn push(&mut self, byte: u8) {
        match &mut self.angle {
            Angle::None => self.phrase.push(byte),
            Angle::Open(address) => address.push(byte),
            Angle::Closed(_) => {}
        }
    }

    fn begin_group(&mut self) -> Option<()> {
        let is_named = !self.phrase.trim_ascii().is_empty();
        if !is_named || !matches!(self.angle, Angle::None) {
            return None;
        }
        self.phrase.clear();
        self.in_group = true;
        Some(())
    }

    fn end_address(&mut self) -> Option<()> {
        let phrase = std::mem::take(&mut self.phrase);
        let address = match std::mem::take(&mut self.angle) {
            Angle::Closed(address) => address,
            Angle::Open(_) => return None,
            Angle::None if phrase.trim_ascii().is_empty() => return Some(()),
            Angle::None => phrase,
        };
        let address = std::str::from_utf8(address.trim_ascii()).ok()?;
        self.mailboxes.push(Mailbox::parse(address).ok()?);
        (self.mailboxes.len() <= MAX_ADDRESSES).then_some(())
    }

    fn finish(mut self) -> Option<Vec<Mailbox>> {
        self.end_address()?;
        (!self.in_group).then_some(self.mailboxes)
    }
}

/// What follows the comment whose opening parenthesis has been read; comments nest.
fn skip_comment(mut input: &[u8]) -> Option<&[u8]> {
    let mut depth = 1;
    while depth > 0 {
        let (byte, rest) = input.split_first()?;
        input = match byte {
            b'\\' => rest.get(1..)?,
            _ => rest,
        };
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
    }
    Some(input)
}

/// The length of what follows an opening quote, up to and with the closing one.
fn quoted_length(input: &[u8]) -> Option<usize> {
    let mut escaped = false;
    let is_closing = |byte: &u8| {
        let closes = !escaped && *byte == b'"';
        escaped = !escaped && *byte == b'\\';
        closes
    };
    input.iter().position(is_closing).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use mail_parser::{Address, MessageParser};
    use proptest::prelude::*;

    use super::*;

    fn addresses(value: &str) -> Option<Vec<String>> {
        let mailboxes = parse(value.as_bytes())?;
        Some(mailboxes.iter().map(Mailbox::to_string).collect())
    }

    #[test]
    fn what_clients_write_is_understood() {
        for (value, expected) in [
            ("jo@example.org", "jo@example.org"),
            (" <jo@example.org> ", "jo@example.org"),
            ("Jo Q. Public <jo@example.org>", "jo@example.org"),
            ("\"Public, Jo\" <jo@example.org>", "jo@example.org"),
            ("\"a \\\" <x@y>\" <jo@example.org>", "jo@example.org"),
            ("jo@example.org <jo@example.org>", "jo@example.org"),
            (
                "J\u{f6} [office] <jo@example.org> (comment, with <x@y>)",
                "jo@example.org",
            ),
            ("=?utf-8?q?J=C3=B6?= <jo@example.org>", "jo@example.org"),
            ("jo@example.org (Jo (really \\) Jo))", "jo@example.org"),
            ("\"j o\"@example.org", "\"j o\"@example.org"),
            ("Jo\r\n\t<jo@[IPv6:2001:db8::1]>", "jo@[IPv6:2001:db8::1]"),
            ("A: <jo@example.org>;", "jo@example.org"),
            ("a@x.org, , B <b@y.org>,", "a@x.org b@y.org"),
            ("G: a@x.org, b@y.org; , c@z.org", "a@x.org b@y.org c@z.org"),
            ("undisclosed:;", ""),
            ("", ""),
        ] {
            let found = addresses(value).map(|list| list.join(" "));
            assert_eq!(found.as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn every_doubt_is_refused() {
        for value in [
            "jo",
            "Jo Public",
            "a@x.org b@y.org",
            "<a@x.org> <b@y.org>",
            "<a@x.org> b@y.org",
            "<a@x.org> \"b\"",
            "<a@x.org>[b]",
            "<a@x.org",
            "a@x.org>",
            "<<a@x.org>>",
            "<a@x.org, b@y.org>",
            "<@relay.org:a@x.org>",
            "<>",
            "Jo <>",
            "\"open <a@x.org>",
            "(open <a@x.org>",
            "closed) <a@x.org>",
            "G: H: a@x.org;;",
            "G: a@x.org",
            "a@x.org; b@y.org",
            ": a@x.org;",
            "a@x.org\0",
            "j\u{f6}@x.org",
            "<a@@x.org>",
            "<a b@x.org>",
        ] {
            assert_eq!(addresses(value), None, "{value}");
        }
    }

    #[test]
    fn a_list_is_bounded() {
        let list = |count| "a@x.org,".repeat(count);
        assert_eq!(
            addresses(&list(MAX_ADDRESSES)).unwrap().len(),
            MAX_ADDRESSES
        );
        assert_eq!(addresses(&list(MAX_ADDRESSES + 1)), None);
    }

    /// The mailboxes that another parser finds in the same field.
    fn second_opinion(value: &str) -> Vec<Mailbox> {
        let content = format!("From: {value}\r\n\r\n");
        let Some(message) = MessageParser::new().parse_headers(content.as_bytes()) else {
            return Vec::new();
        };
        let addresses = message.from().into_iter().flat_map(Address::iter);
        addresses
            .filter_map(|address| address.address()?.parse().ok())
            .collect()
    }

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("<a@x.org>".to_owned()),
            Just("b@y.org".to_owned()),
            Just("\"q, <c@z.org>\"".to_owned()),
            Just("(d@w.org)".to_owned()),
            Just("Name".to_owned()),
            Just(" ".to_owned()),
            Just(",".to_owned()),
            "[<>,;:()\"\\\\@. a]",
        ]
    }

    proptest! {
        #[test]
        fn nothing_panics(value in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&value);
        }

        #[test]
        fn what_is_accepted_is_read_alike_elsewhere(pieces in prop::collection::vec(piece(), 1..6)) {
            let value = pieces.concat();
            if let Some(found) = parse(value.as_bytes()) {
                for theirs in second_opinion(&value) {
                    prop_assert!(found.contains(&theirs), "{value}: {found:?} lacks {theirs}");
                }
            }
        }
    }
}
