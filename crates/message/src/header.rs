//! The header section of a message, scanned in place (RFC 5322 §2.2).
//!
//! The scanner is lenient where mail in the wild is: lines may end in a bare LF, and spaces may
//! stand before the colon (RFC 5322 §4.5, obsolete syntax). It stops at the first line that is
//! neither a field nor its continuation, whether that is the empty line or not; [`Header::end`]
//! tells which.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

/// What ended the header section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The empty line that separates it from the body.
    EmptyLine,
    /// The message has no more lines, hence no body (RFC 5322 §2.1 allows it).
    EndOfContent,
    /// A line that is no field. Readers of mail disagree about what follows: to some it is body,
    /// others skip the line and read on.
    NotAField,
}

/// The header section at the front of a content.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    content: &'a [u8],
}

impl<'a> Header<'a> {
    /// The header section of `content`. Nothing is scanned yet.
    #[must_use]
    pub fn of(content: &'a [u8]) -> Self {
        Self { content }
    }

    /// The fields in their order.
    #[must_use]
    pub fn fields(self) -> Fields<'a> {
        Fields {
            content: self.content,
            position: 0,
        }
    }

    /// The fields of one name, in their order.
    pub fn named(self, name: &'static str) -> impl Iterator<Item = Field<'a>> {
        self.fields().filter(move |field| field.is(name))
    }

    /// The octets of all fields, without the empty line after them.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        let (length, _) = self.end();
        self.content.get(..length).unwrap_or_default()
    }

    /// Where the section ends, in octets from the front of the content, and what ended it.
    #[must_use]
    pub fn end(self) -> (usize, End) {
        let mut fields = self.fields();
        fields.by_ref().for_each(drop);
        (fields.position, fields.what_stopped())
    }
}

/// One field with its folded lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    bytes: &'a [u8],
    offset: usize,
    name_length: usize,
    colon: usize,
}

impl<'a> Field<'a> {
    /// The name as written, without the colon.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        self.bytes.get(..self.name_length).unwrap_or_default()
    }

    /// Whether the field has this name; case does not matter (RFC 5322 §1.2.2).
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    /// What stands after the colon, with line breaks and all.
    #[must_use]
    pub fn value(&self) -> &'a [u8] {
        self.bytes.get(self.colon + 1..).unwrap_or_default()
    }

    /// The value on one line: line breaks taken out (RFC 5322 §2.2.3), trimmed at both ends.
    #[must_use]
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        let value = self.value().trim_ascii();
        if memchr(b'\n', value).is_none() {
            return Cow::Borrowed(value);
        }
        let is_line_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
        Cow::Owned(
            value
                .iter()
                .copied()
                .filter(|b| !is_line_break(b))
                .collect(),
        )
    }

    /// All octets of the field, from its name to its last line break.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where these octets lie in the content.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.bytes.len()
    }
}

/// Iterator over the fields of a header section.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    content: &'a [u8],
    position: usize,
}

impl<'a> Fields<'a> {
    fn rest(&self) -> &'a [u8] {
        self.content.get(self.position..).unwrap_or_default()
    }

    fn what_stopped(&self) -> End {
        match self.rest() {
            [] => End::EndOfContent,
            [b'\n', ..] | [b'\r', b'\n', ..] => End::EmptyLine,
            _ => End::NotAField,
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let rest = self.rest();
        let (name_length, colon) = split_name(rest)?;
        let (bytes, _) = rest.split_at_checked(field_length(rest))?;
        let offset = self.position;
        self.position += bytes.len();
        Some(Field {
            bytes,
            offset,
            name_length,
            colon,
        })
    }
}

/// The length of the name and the position of the colon, if a field starts here: printable ASCII
/// but the colon (RFC 5322 §3.6.8 `ftext`), perhaps spaces, then the colon.
fn split_name(rest: &[u8]) -> Option<(usize, usize)> {
    let is_name = |byte: &u8| matches!(byte, b'!'..=b'~') && *byte != b':';
    let name_length = rest.iter().position(|byte| !is_name(byte))?;
    let (_, after_name) = rest.split_at_checked(name_length)?;
    let spaces = after_name.iter().position(|byte| !is_space(*byte))?;
    let is_field = name_length > 0 && after_name.get(spaces) == Some(&b':');
    is_field.then_some((name_length, name_length + spaces))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The length of the field that starts here: its line, and the lines after it that start with a
/// space or a tab.
fn field_length(rest: &[u8]) -> usize {
    let mut length = 0;
    while let Some(after) = rest.get(length..) {
        let Some(line_break) = memchr(b'\n', after) else {
            return rest.len();
        };
        length += line_break + 1;
        if !rest.get(length).copied().is_some_and(is_space) {
            break;
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MESSAGE: &[u8] =
        b"Received: by a;\r\n\tsomeday\r\nSUBJECT : x: y\r\nX:\r\n\r\nbody: z\r\n";

    fn names(content: &[u8]) -> Vec<&[u8]> {
        Header::of(content).fields().map(|f| f.name()).collect()
    }

    #[test]
    fn fields_are_found_with_their_folded_lines() {
        let fields: Vec<_> = Header::of(MESSAGE).fields().collect();
        let bytes: Vec<_> = fields.iter().map(Field::bytes).collect();
        assert_eq!(
            bytes,
            [
                &b"Received: by a;\r\n\tsomeday\r\n"[..],
                b"SUBJECT : x: y\r\n",
                b"X:\r\n"
            ]
        );
        assert_eq!(fields[0].unfolded().as_ref(), b"by a;\tsomeday");
        assert_eq!(fields[1].value(), b" x: y\r\n");
        assert!(fields[1].is("Subject"));
        assert_eq!(fields[2].unfolded().as_ref(), b"");
        assert_eq!(&MESSAGE[fields[1].range()], fields[1].bytes());
    }

    #[test]
    fn the_end_is_told_with_its_reason() {
        assert_eq!(Header::of(MESSAGE).end(), (47, End::EmptyLine));
        assert_eq!(Header::of(b"A: b").end(), (4, End::EndOfContent));
        assert_eq!(Header::of(b"A: b\n\nc").end(), (5, End::EmptyLine));
        assert_eq!(Header::of(b"").end(), (0, End::EndOfContent));
        assert_eq!(
            Header::of(b"A: b\r\nwhat?\r\nB: c\r\n").end(),
            (6, End::NotAField)
        );
        assert_eq!(
            Header::of(b" folded\r\nB: c\r\n").end(),
            (0, End::NotAField)
        );
        assert_eq!(Header::of(b": no name\r\n").end(), (0, End::NotAField));
        assert_eq!(
            Header::of(b"From someone Mon Nov 23\r\n").end(),
            (0, End::NotAField)
        );
    }

    #[test]
    fn the_body_is_never_read() {
        assert_eq!(names(b"A: b\r\n\r\nC: d\r\n"), [b"A"]);
        assert_eq!(Header::of(b"A: b\r\n\r\nA: c\r\n").named("a").count(), 1);
    }

    proptest! {
        #[test]
        fn fields_tile_the_header(content in prop::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' '), Just(b'A'), any::<u8>()], 0..200,
        )) {
            let mut expected = 0;
            for field in Header::of(&content).fields() {
                prop_assert_eq!(field.range().start, expected);
                prop_assert!(!field.bytes().is_empty());
                expected = field.range().end;
            }
            prop_assert_eq!(Header::of(&content).end().0, expected);
            prop_assert_eq!(Header::of(&content).bytes().len(), expected);
        }
    }
}
