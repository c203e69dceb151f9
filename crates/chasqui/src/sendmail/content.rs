//! The message, from how programs write it to how it goes over the wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use memchr::memchr;
use message::content::{body_of, joint};
use message::header::Header;
use message::submission::{FixUp, fix_up};
use smtp::client::content::Encoder;
use smtp::client::{RecipientResult, Transaction};
use smtp::{Mailbox, ReversePath};
use time::OffsetDateTime;
use uuid::Uuid;

use super::arguments::SendmailCommand;
use super::error::SendmailError;
use super::settings::Settings;
use crate::talk::Talk;

/// Octets that fit one encoded word in UTF-8 and base64 (RFC 2047 §2).
const LONGEST_WORD: usize = 45;

/// The message with CR LF at the end of each line, up to a lone dot if that counts, and without the
/// `From ` line of an mbox.
pub(super) fn as_sent(octets: &[u8], ignores_dots: bool) -> Bytes {
    let mut content = Vec::with_capacity(octets.len() + octets.len() / 32);
    let mut rest = octets;
    let mut is_first = true;
    while !rest.is_empty() {
        let length = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let (line, after) = rest.split_at(length);
        rest = after;
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text == b"." && !ignores_dots {
            break;
        }
        if !(is_first && text.starts_with(b"From ")) {
            content.extend_from_slice(text);
            content.extend_from_slice(b"\r\n");
        }
        is_first = false;
    }
    content.into()
}

/// The message as it is sent: what every message has is added, and Bcc is gone.
pub(super) struct Letter(Vec<Bytes>);

impl Letter {
    pub(super) fn new(
        received: Bytes,
        command: &SendmailCommand,
        settings: &Settings,
        reverse_path: &ReversePath,
    ) -> Self {
        let has_author = Header::of(&received).named("From").next().is_some();
        let fixed = fix_up(
            received,
            &FixUp {
                message_id_domain: &settings.host_name,
                queue_id: &Uuid::now_v7().to_string(),
                now: OffsetDateTime::now_utc(),
            },
        );
        let mut prefix = fixed.prefix;
        if !has_author {
            let address = reverse_path.mailbox().map(ToString::to_string);
            let address = address.unwrap_or_else(|| settings.user_address());
            prefix.push_str(&author(command.full_name.as_deref(), &address));
        }
        if !prefix.is_empty() {
            prefix.push_str(joint(&fixed.content));
        }
        Self(vec![Bytes::from(prefix), fixed.content])
    }

    /// One transaction.
    pub(super) fn send(
        &self,
        talk: &mut Talk,
        reverse_path: &ReversePath,
        recipients: &[Mailbox],
    ) -> Result<Vec<RecipientResult>, SendmailError> {
        let content = Encoder::new(self.0.iter().cloned())?;
        let is_8bit = self.0.iter().find(|part| !part.is_ascii());
        let transaction = Transaction {
            reverse_path,
            recipients,
            body: body_of(is_8bit.map_or(&[], |part| part)),
            size: content.size(),
        };
        let sent = talk.send(&transaction, content);
        sent.map_err(SendmailError::Transaction)
    }
}

fn author(full_name: Option<&str>, address: &str) -> String {
    let is_plain = |c: char| c.is_ascii_graphic() || c == ' ';
    match full_name.map(str::trim) {
        Some(name) if !name.is_empty() && name.chars().all(is_plain) => {
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("From: \"{quoted}\" <{address}>\r\n")
        }
        Some(name) if !name.is_empty() && name.len() <= LONGEST_WORD => {
            let word = STANDARD.encode(name);
            format!("From: =?utf-8?b?{word}?= <{address}>\r\n")
        }
        _ => format!("From: <{address}>\r\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_cr_lf_and_a_lone_dot_ends_the_message_unless_ignored() {
        let written = b"From me Mon\nA: b\r\n\nfirst\n.\nsecond";
        assert_eq!(&as_sent(written, false)[..], b"A: b\r\n\r\nfirst\r\n");
        assert_eq!(
            &as_sent(written, true)[..],
            b"A: b\r\n\r\nfirst\r\n.\r\nsecond\r\n"
        );
        assert_eq!(&as_sent(b"..\n. \n", false)[..], b"..\r\n. \r\n");
    }

    #[test]
    fn an_author_is_named_in_ascii() {
        let address = "a@example.org";
        for (name, field) in [
            (None, "From: <a@example.org>\r\n"),
            (
                Some("A \"B\" C"),
                "From: \"A \\\"B\\\" C\" <a@example.org>\r\n",
            ),
            (
                Some("Zoë"),
                "From: =?utf-8?b?Wm/Dqw==?= <a@example.org>\r\n",
            ),
            (Some(" "), "From: <a@example.org>\r\n"),
        ] {
            assert_eq!(author(name, address), field);
        }
    }
}
