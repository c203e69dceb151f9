//! The decoder against examples, and against a slow model of itself.

use proptest::prelude::*;

use super::*;

/// Decodes pieces; gives the content, what is left over, and the violation. Fails unless the
/// content ends.
fn decode(pieces: &[&[u8]]) -> (Vec<u8>, Vec<u8>, Option<Violation>) {
    let mut decoder = Decoder::new(60, 30);
    let mut content = Vec::new();
    let mut rest = Vec::new();
    let mut ended = false;
    for piece in pieces {
        let mut piece = piece.to_vec();
        if ended {
            rest.extend(piece);
            continue;
        }
        let decoded = decoder.decode(&mut piece);
        content.extend_from_slice(&piece[..decoded.content]);
        rest.extend_from_slice(&piece[decoded.consumed..]);
        ended = decoded.ended;
    }
    assert!(ended, "the content has not ended");
    (content, rest, decoder.violation())
}

fn content(input: &[u8]) -> Vec<u8> {
    let whole = decode(&[input]);
    let octets: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(whole, decode(&octets));
    assert_eq!(whole.2, None);
    whole.0
}

fn violation(input: &[u8]) -> Option<Violation> {
    let whole = decode(&[input]);
    assert!(whole.1.is_empty());
    let octets: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(whole.2, decode(&octets).2);
    whole.2
}

#[test]
fn dots_are_unstuffed() {
    assert_eq!(content(b".\r\n"), b"");
    assert_eq!(content(b"a\r\n.\r\n"), b"a\r\n");
    assert_eq!(content(b"..\r\n...\r\na.\r\n.\r\n"), b".\r\n..\r\na.\r\n");
    assert_eq!(
        content(b".a\r\nb\r\n..c\r\nd\r\n.\r\n"),
        b"a\r\nb\r\n.c\r\nd\r\n"
    );
}

#[test]
fn what_follows_the_end_is_left_alone() {
    let (content, rest, violation) = decode(&[b"a\r\n.\r\nQUIT\r\n"]);
    assert_eq!(
        (content.as_slice(), rest.as_slice(), violation),
        (b"a\r\n".as_slice(), b"QUIT\r\n".as_slice(), None)
    );
}

#[test]
fn false_ends_are_neither_ends_nor_content() {
    for (input, expected) in [
        (b"a\n.\nb\r\n.\r\n".as_slice(), Violation::BareLf),
        (b"a\n.\r\nb\r\n.\r\n", Violation::BareLf),
        (b"a\r\n.\nb\r\n.\r\n", Violation::BareLf),
        (b"a\r.\rb\r\n.\r\n", Violation::BareCr),
        (b"a\r.\r\nb\r\n.\r\n", Violation::BareCr),
        (b"a\r\n.\rb\r\n.\r\n", Violation::BareCr),
        (b"a\r\n.\r\r\nb\r\n.\r\n", Violation::BareCr),
        (b"a\r\n\0.\r\nb\r\n.\r\n", Violation::Nul),
    ] {
        assert_eq!(violation(input), Some(expected), "{input:?}");
    }
}

#[test]
fn limits_hold_however_the_input_is_cut() {
    let longest = [&[b'x'; 28], b"\r\n".as_slice()].concat();
    assert_eq!(content(&[&longest, b".\r\n".as_slice()].concat()), longest);
    let two = [longest.as_slice(), &longest].concat();
    assert_eq!(content(&[&two, b".\r\n".as_slice()].concat()), two);
    let too_long = [b"x".as_slice(), &longest, b".\r\n"].concat();
    assert_eq!(violation(&too_long), Some(Violation::LineTooLong(30)));
    let too_big = [two.as_slice(), b"\r\n.\r\n"].concat();
    assert_eq!(violation(&too_big), Some(Violation::TooBig(60)));
    let both = [two.as_slice(), &[b'x'; 40], b"\0\r\n.\r\n"].concat();
    assert_eq!(violation(&both), Some(Violation::TooBig(60)));
}

/// The rules octet by octet, as plainly as can be: the content, the length of what was read, and
/// the violation; none if the content does not end.
fn model(input: &[u8]) -> Option<(Vec<u8>, usize, Option<Violation>)> {
    let (mut content, mut violation, mut line) = (Vec::new(), None, 0);
    let mut at = 0;
    let mut line_start = true;
    while at < input.len() {
        let rest = &input[at..];
        if line_start && rest.starts_with(b".\r\n") {
            let content = if violation.is_none() {
                content
            } else {
                Vec::new()
            };
            return Some((content, at + 3, violation));
        }
        if line_start && rest.starts_with(b".") {
            at += 1;
            line_start = false;
            continue;
        }
        let found = match rest {
            [b'\r', b'\n', ..] => None,
            [b'\r', ..] => Some(Violation::BareCr),
            [b'\n', ..] => Some(Violation::BareLf),
            [0, ..] => Some(Violation::Nul),
            _ => None,
        };
        let taken = if rest.starts_with(b"\r\n") { 2 } else { 1 };
        for &octet in &rest[..taken] {
            if matches!(found, None | Some(Violation::BareCr)) {
                content.push(octet);
                line += 1;
                if content.len() > 60 {
                    violation.get_or_insert(Violation::TooBig(60));
                }
                if line > 30 {
                    violation.get_or_insert(Violation::LineTooLong(30));
                }
            }
        }
        violation = violation.or(found);
        line_start = taken == 2;
        line = if line_start { 0 } else { line };
        at += taken;
    }
    None
}

/// Octets among which the ones that matter are frequent.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(b"\r\n".to_vec()),
        2 => Just(b".".to_vec()),
        2 => Just(b"\r\n.\r\n".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just(b"\n".to_vec()),
        1 => Just(vec![0]),
        4 => "[a-z]{1,20}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_decoder_does_what_its_model_does(input in octets(), size in 1_usize..9) {
        let mut decoder = Decoder::new(60, 30);
        let mut content = Vec::new();
        let mut read = 0;
        let mut ended = false;
        for piece in input.chunks(size) {
            let mut piece = piece.to_vec();
            let decoded = decoder.decode(&mut piece);
            content.extend_from_slice(&piece[..decoded.content]);
            read += decoded.consumed;
            ended = decoded.ended;
            if ended {
                break;
            }
        }
        match model(&input) {
            None => prop_assert!(!ended),
            Some((expected, length, violation)) => {
                prop_assert!(ended);
                prop_assert_eq!(read, length);
                prop_assert_eq!(decoder.violation(), violation);
                if violation.is_none() {
                    prop_assert_eq!(content, expected);
                }
            }
        }
    }
}
