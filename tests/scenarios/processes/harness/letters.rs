//! Messages that can be told apart wherever they arrive.

use std::fmt::Write as _;

/// What tells a message from all others, in a field of its header.
pub(crate) type Tag = String;

const FIELD: &str = "X-Tag: ";

/// A message of about a KiB.
pub(crate) fn letter(tag: &str, author: &str) -> String {
    let mut text = format!(
        "From: <{author}>\r\nTo: undisclosed-recipients:;\r\nSubject: {tag}\r\n{FIELD}{tag}\r\n\r\n"
    );
    for line in 1..=16 {
        let _ = write!(
            text,
            "Line {line} of a message of no consequence at all.\r\n"
        );
    }
    text
}

/// The tag of a message that has arrived; none of mail of the fleet's own, such as notifications.
pub(crate) fn tag_of(content: &[u8]) -> Option<Tag> {
    let text = String::from_utf8_lossy(content);
    let (header, _) = text.split_once("\r\n\r\n")?;
    let mut lines = header.lines();
    lines.find_map(|line| Some(line.strip_prefix(FIELD)?.to_owned()))
}
