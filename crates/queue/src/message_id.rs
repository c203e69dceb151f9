//! The Message-ID of a content (RFC 5322 §3.6.4), found without looking at more than its header.

use crate::content::Content;
use crate::ids::QueueId;

/// Octets of a content that are searched. Whoever has a longer header mostly has the field before.
pub(crate) const SEARCHED: usize = 16 << 10;
/// Longest Message-ID that is kept, in octets: a line (RFC 5322 §2.1.1).
const MAX_LENGTH: usize = 998;
const NAME: &[u8] = b"message-id";

/// What stands between the angle brackets of the field; none without a field that has them.
pub(crate) fn message_id(content: &Content) -> Option<String> {
    let mut left = SEARCHED;
    for part in content.parts() {
        let searched = part.get(..left.min(part.len())).unwrap_or_default();
        match search(searched) {
            Search::Found(id) => return Some(id),
            Search::HeaderEnded => return None,
            Search::GoOn => left -= searched.len(),
        }
    }
    None
}

/// The Message-ID for the journal; none where it follows from the queue id, as that of a message
/// that came without one does.
pub(crate) fn for_journal(queue_id: QueueId, content: Option<&Content>) -> Option<String> {
    message_id(content?).filter(|id| of_our_making(id) != Some(queue_id))
}

/// The queue id that a Message-ID of our making has before its `@`.
pub(crate) fn of_our_making(message_id: &str) -> Option<QueueId> {
    message_id.split_once('@')?.0.parse().ok()
}

enum Search {
    Found(String),
    HeaderEnded,
    GoOn,
}

/// Looks through the lines of a header, or of a whole part of one.
fn search(octets: &[u8]) -> Search {
    let mut rest = octets;
    while !rest.is_empty() {
        if is_end_of_line(rest) {
            return Search::HeaderEnded;
        }
        if is_wanted(rest)
            && let Some(id) = in_brackets(field(rest))
        {
            return Search::Found(id);
        }
        rest = after_line(rest);
    }
    Search::GoOn
}

fn is_end_of_line(rest: &[u8]) -> bool {
    rest.starts_with(b"\r\n") || rest.starts_with(b"\n")
}

fn is_wanted(line: &[u8]) -> bool {
    let name = line.get(..NAME.len());
    let after = line.get(NAME.len()..).unwrap_or_default();
    name.is_some_and(|name| name.eq_ignore_ascii_case(NAME))
        && after.trim_ascii_start().starts_with(b":")
}

fn after_line(rest: &[u8]) -> &[u8] {
    match memchr::memchr(b'\n', rest) {
        Some(end) => rest.get(end + 1..).unwrap_or_default(),
        None => &[],
    }
}

/// The field that begins here, folded lines included (RFC 5322 §2.2.3).
fn field(rest: &[u8]) -> &[u8] {
    let mut after = after_line(rest);
    while after.starts_with(b" ") || after.starts_with(b"\t") {
        after = after_line(after);
    }
    rest.get(..rest.len() - after.len()).unwrap_or_default()
}

fn in_brackets(field: &[u8]) -> Option<String> {
    let from = memchr::memchr(b'<', field)? + 1;
    let after = field.get(from..)?;
    let id = after.get(..memchr::memchr(b'>', after)?)?;
    let is_plain = |octet: &u8| octet.is_ascii_graphic();
    let fits = !id.is_empty() && id.len() <= MAX_LENGTH && id.iter().all(is_plain);
    fits.then(|| id.iter().copied().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Shard;

    fn found(prefix: &'static str, received: &'static str) -> Option<String> {
        message_id(&Content::new(prefix.as_bytes(), received.as_bytes()))
    }

    #[test]
    fn the_field_is_found_in_either_part_folded_or_not() {
        for (prefix, received) in [
            ("", "Message-ID: <a@b>\r\n\r\n"),
            ("Message-ID: <a@b>\r\n", "Subject: x\r\n\r\n"),
            (
                "Received: x\r\n\ty\r\n",
                "Subject: x\r\nMESSAGE-id :\r\n <a@b>\r\n\r\nbody",
            ),
            ("", "Message-ID: <a@b>"),
        ] {
            assert_eq!(
                found(prefix, received).as_deref(),
                Some("a@b"),
                "{received}"
            );
        }
    }

    #[test]
    fn what_is_no_field_of_that_name_is_none() {
        for received in [
            "Subject: x\r\n\r\nMessage-ID: <a@b>\r\n",
            "Subject: x\r\n Message-ID: <a@b>\r\n\r\n",
            "X-Message-ID: <a@b>\r\n\r\n",
            "Message-IDs: <a@b>\r\n\r\n",
            "Message-ID: a@b\r\n\r\n",
            "Message-ID: <>\r\n\r\n",
            "Message-ID: <a\x07@b>\r\n\r\n",
            "Message-ID:\r\nReferences: <a@b>\r\n\r\n",
            "",
        ] {
            assert_eq!(found("", received), None, "{received:?}");
        }
        assert_eq!(found("\r\n", "Message-ID: <a@b>\r\n"), None);
    }

    #[test]
    fn a_long_header_is_not_read_to_its_end() {
        let long = "X: y\r\n".repeat(SEARCHED / 6 + 1);
        let content = Content::from((long + "Message-ID: <a@b>\r\n").into_bytes());
        assert_eq!(message_id(&content), None);
    }

    #[test]
    fn what_follows_from_the_queue_id_is_not_kept() {
        let own = QueueId::generate(Shard::random());
        let content = |id: &str| Content::from(format!("Message-ID: <{id}>\r\n").into_bytes());
        let ours = content(&format!("{own}@mail.example.org"));
        assert_eq!(for_journal(own, Some(&ours)), None);
        let other = for_journal(own, Some(&content("x@y")));
        assert_eq!(other.as_deref(), Some("x@y"));
        assert_eq!(for_journal(own, None), None);
    }
}
