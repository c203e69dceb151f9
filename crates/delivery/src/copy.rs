//! What is written to disk: the message with the fields of final delivery (RFC 5321 §4.4).
//!
//! Lines end in CR LF as they came: apart from these fields the message is stored octet for octet.

use bytes::Bytes;
use directory::AccountName;
use message::content::joint;
use message::header::Header;
use message::trace::{delivered_to, return_path};
use queue::Content;
use smtp::{Mailbox, ReversePath};

/// A message that is ready to be copied into mailboxes. All copies share the content.
pub(crate) struct Original {
    return_path: String,
    joint: &'static str,
    content: Vec<Bytes>,
}

impl Original {
    /// Takes out `Return-Path` fields: only the host of final delivery writes that one.
    pub(crate) fn new(reverse_path: &ReversePath, content: &Content) -> Self {
        let mut pieces = Vec::with_capacity(2);
        for part in content.parts() {
            without_return_path(&part, &mut pieces);
        }
        let first = pieces.first().map_or(&b""[..], |piece| piece);
        Self {
            return_path: return_path(reverse_path),
            joint: joint(first),
            content: pieces,
        }
    }

    /// The copy for one account. `Delivered-To` names the account, in the words of the envelope if
    /// those say the same (with a tag, say), else above the alias that led here (RFC 9228 §4).
    pub(crate) fn copy_for(&self, account: &AccountName, recipient: &Mailbox) -> Vec<Bytes> {
        let mut head = self.return_path.clone();
        if !account.is_meant_by(recipient) {
            head.push_str(&delivered_to(&account.mailbox()));
        }
        head.push_str(&delivered_to(recipient));
        head.push_str(self.joint);
        let mut copy = Vec::with_capacity(1 + self.content.len());
        copy.push(Bytes::from(head));
        copy.extend(self.content.iter().cloned());
        copy
    }
}

/// Adds what is kept of `part` to `pieces`, as slices of it.
fn without_return_path(part: &Bytes, pieces: &mut Vec<Bytes>) {
    let mut kept_from = 0;
    for field in Header::of(part).named("Return-Path") {
        let gap = field.range();
        push_slice(part, kept_from, gap.start, pieces);
        kept_from = gap.end;
    }
    push_slice(part, kept_from, part.len(), pieces);
}

fn push_slice(part: &Bytes, from: usize, to: usize, pieces: &mut Vec<Bytes>) {
    if from < to {
        pieces.push(part.slice(from..to));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn copy(recipient: &str, content: &Content) -> String {
        let account = AccountName::from_mailbox(&Mailbox::parse("alice@example.org").unwrap());
        let sender = ReversePath::Mailbox(Mailbox::parse("bob@example.net").unwrap());
        let copy = Original::new(&sender, content)
            .copy_for(&account.unwrap(), &Mailbox::parse(recipient).unwrap());
        String::from_utf8(copy.concat()).unwrap()
    }

    #[test]
    fn trace_fields_of_final_delivery_stand_first() {
        let content = Content::new("Received: x\r\n", "Subject: y\r\n\r\nReturn-Path: z\r\n");
        assert_eq!(
            copy("Alice+Tag@example.org", &content),
            "Return-Path: <bob@example.net>\r\nDelivered-To: Alice+Tag@example.org\r\n\
             Received: x\r\nSubject: y\r\n\r\nReturn-Path: z\r\n"
        );
    }

    #[test]
    fn an_alias_stands_below_the_account() {
        let content = Content::from(Bytes::from_static(b"Subject: y\r\n\r\n"));
        assert_eq!(
            copy("team@example.org", &content),
            "Return-Path: <bob@example.net>\r\nDelivered-To: alice@example.org\r\n\
             Delivered-To: team@example.org\r\nSubject: y\r\n\r\n"
        );
    }

    #[test]
    fn older_return_paths_go_with_all_their_lines() {
        let content = Content::new(
            "Return-Path: <a@b>\r\nReceived: x\r\n",
            "A: b\r\nreturn-path:\r\n <c@d>\r\nC: d\r\nRETURN-PATH: <>\r\n\r\nbody\r\n",
        );
        assert_eq!(
            copy("alice@example.org", &content),
            "Return-Path: <bob@example.net>\r\nDelivered-To: alice@example.org\r\n\
             Received: x\r\nA: b\r\nC: d\r\n\r\nbody\r\n"
        );
    }

    #[test]
    fn content_without_header_stays_body() {
        let content = Content::from(Bytes::from_static(b" just text\r\n"));
        assert!(copy("alice@example.org", &content).ends_with(".org\r\n\r\n just text\r\n"));
    }

    #[test]
    fn nothing_is_copied_that_need_not_be() {
        let received = Bytes::from_static(b"Subject: y\r\n\r\nbody");
        let original = Original::new(&ReversePath::Null, &Content::from(received.clone()));
        let [stored] = original.content.try_into().unwrap();
        assert_eq!(stored.as_ptr(), received.as_ptr());
    }
}
