//! Whom mail is for, and how messages are told apart wherever they arrive.

use std::collections::BTreeSet;

use super::random::Random;

/// Has mailboxes here.
pub(super) const LOCAL_DOMAIN: &str = "home.test";
/// Submits, and is told what bounced.
pub(super) const ALICE: &str = "alice@home.test";
/// Gets local mail.
pub(super) const BOB: &str = "bob@home.test";
/// Gets mail at the far end.
pub(super) const JO: &str = "jo@far.test";
/// Whom the far end says 550 to.
pub(super) const NOBODY: &str = "nobody@far.test";
/// Writes from elsewhere.
pub(super) const STRANGER: &str = "stranger@elsewhere.test";
/// The password of `alice` and `bob`.
pub(super) const PASSWORD: &str = "of-a-soak-on-loopback";

/// Octets of most messages: more than anything else that a client says.
const SIZE: usize = 3 << 10;
/// Octets of a large one, which goes in many pieces.
const LARGE: usize = 200 << 10;
/// One of so many for the far end is large.
const LARGE_ONE_IN: usize = 40;

/// One recipient of one message.
pub(super) type Parcel = (u64, &'static str);

/// Recipients, as many kinds as there are.
pub(super) const RECIPIENTS: [&str; 3] = [BOB, JO, NOBODY];

/// An envelope, and how large a message goes into it.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) author: &'static str,
    pub(super) recipients: &'static [&'static str],
    pub(super) size: usize,
}

impl Draft {
    /// What a mail client writes next.
    pub(super) fn of_a_mail_client(random: &mut Random) -> Self {
        let recipients: &[&str] = match random.below(10) {
            0..3 => &[BOB],
            3..6 => &[JO],
            6..8 => &[BOB, JO],
            8 => &[NOBODY],
            _ => &[JO, NOBODY],
        };
        Self::new(ALICE, recipients, random)
    }

    /// What another server brings next.
    pub(super) fn of_a_server(random: &mut Random) -> Self {
        let recipients: &[&str] = match random.below(4) {
            0 => &[JO],
            _ => &[BOB],
        };
        Self::new(STRANGER, recipients, random)
    }

    fn new(author: &'static str, recipients: &'static [&'static str], random: &mut Random) -> Self {
        // Those for mailboxes stay small: mailboxes keep them.
        let large = recipients == [JO] && random.below(LARGE_ONE_IN) == 0;
        let size = if large { LARGE } else { SIZE };
        Self {
            author,
            recipients,
            size,
        }
    }
}

/// The tag in a message; for a report, that of the message which it is about.
pub(super) fn tag_of(content: &str) -> Option<u64> {
    field(content, "X-Tag: ").next()?.parse().ok()
}

/// The recipients of ours that a report (RFC 3464) says were given up.
pub(super) fn given_up(content: &str) -> BTreeSet<&'static str> {
    let finals = field(content, "Final-Recipient: rfc822; ");
    let ours = |address: &str| RECIPIENTS.into_iter().find(|ours| *ours == address);
    finals.filter_map(ours).collect()
}

fn field<'a>(content: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = content.lines();
    lines.filter_map(move |line| Some(line.strip_prefix(name)?.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_whom_and_what_it_is_about() {
        let report = "Content-Type: multipart/report\r\n\r\n\
                      Final-Recipient: rfc822; nobody@far.test\r\nAction: failed\r\n\r\n\
                      Content-Type: text/rfc822-headers\r\n\r\nX-Tag: 17\r\n";
        assert_eq!(tag_of(report), Some(17));
        assert!(given_up(report).into_iter().eq([NOBODY]));
    }
}
