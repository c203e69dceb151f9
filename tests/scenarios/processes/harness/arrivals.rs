//! Counting at the receiving ends, by the tag in each message: what our own tables say is no evidence.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use testkit::Sink;

use super::letters::{Tag, tag_of};
use super::sent::Sent;
use super::{BOB, JO};

/// How often each message has arrived for each recipient.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrivals(BTreeMap<(Tag, &'static str), usize>);

impl Arrivals {
    /// What lies in the mailbox of `bob` and what the far end said 250 to.
    pub(super) fn count(mailbox: &Path, far_end: &Sink) -> Self {
        let mut arrivals = Self::default();
        for mail in mail_in(mailbox) {
            arrivals.note(&mail, BOB);
        }
        for message in far_end.messages() {
            if message.acknowledged {
                arrivals.note(&message.content, JO);
            }
        }
        arrivals
    }

    fn note(&mut self, content: &[u8], recipient: &'static str) {
        if let Some(tag) = tag_of(content) {
            *self.0.entry((tag, recipient)).or_default() += 1;
        }
    }
}

/// The messages in a mailbox's `new`.
pub(crate) fn mail_in(mailbox: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(mailbox.join("new")) else {
        return Vec::new();
    };
    let files = entries.map(|entry| entry.unwrap().path());
    files.map(|file| std::fs::read(file).unwrap()).collect()
}

/// What became of mail.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Recipients that the fleet took mail for.
    pub(crate) acknowledged: usize,
    /// Those of them that have nothing.
    pub(crate) lost: Vec<(Tag, &'static str)>,
    /// Superfluous copies in mailboxes.
    pub(crate) local_duplicates: usize,
    /// Superfluous copies at the far end.
    pub(crate) remote_duplicates: usize,
    /// What arrived though no client was told so: the connection was lost before its 250.
    pub(crate) unacknowledged: usize,
}

impl Tally {
    /// Compares what was acknowledged with what arrived.
    pub(super) fn of(sent: &Sent, arrivals: &Arrivals) -> Self {
        let acknowledged = sent.acknowledged.iter().flat_map(|(tag, recipients)| {
            recipients
                .iter()
                .map(move |recipient| (tag.clone(), *recipient))
        });
        let acknowledged: Vec<(Tag, &'static str)> = acknowledged.collect();
        let copies = |recipient: &str| {
            let of_recipient = arrivals.0.iter().filter(|((_, to), _)| *to == recipient);
            of_recipient.map(|(_, count)| count - 1).sum()
        };
        let has_arrived = |key: &&(Tag, &'static str)| arrivals.0.contains_key(*key);
        let arrived = acknowledged.iter().filter(has_arrived).count();
        Self {
            local_duplicates: copies(BOB),
            remote_duplicates: copies(JO),
            unacknowledged: arrivals.0.len() - arrived,
            lost: acknowledged
                .iter()
                .filter(|key| !has_arrived(key))
                .cloned()
                .collect(),
            acknowledged: acknowledged.len(),
        }
    }

    /// Every message arrived once.
    pub(crate) fn assert_exactly_once(&self) {
        let copies = (self.local_duplicates, self.remote_duplicates);
        assert_eq!(
            (self.lost.len(), copies),
            (0, (0, 0)),
            "{self}: {:?}",
            self.lost
        );
    }

    /// Every message arrived. Superfluous copies are no more than what was under way at the far end at the moment of the
    /// fault; a mailbox has none, since a second delivery of a message finds the first.
    pub(crate) fn assert_none_lost(&self, under_way: usize) {
        assert!(self.lost.is_empty(), "{self}: {:?}", self.lost);
        assert_eq!(self.local_duplicates, 0, "{self}");
        assert!(self.remote_duplicates <= under_way, "{self}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} acknowledged, {} lost, duplicates {} local and {} remote, {} arrived without a 250",
            self.acknowledged,
            self.lost.len(),
            self.local_duplicates,
            self.remote_duplicates,
            self.unacknowledged,
        )
    }
}
