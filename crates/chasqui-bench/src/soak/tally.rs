//! Counting at the receiving ends, by the tag in each message: what our own tables say is no evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use sqlx::Row as _;

use super::book::Entries;
use super::database::Database;
use super::far_end::{FarEnd, Received};
use super::fleet::Fleet;
use super::letters::{ALICE, BOB, NOBODY, Parcel, given_up, tag_of};

/// What has arrived where, and what is still queued.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    mailbox: BTreeMap<Parcel, usize>,
    far_end: BTreeMap<Parcel, Received>,
    /// Reports, by what they are about.
    bounced: BTreeMap<Parcel, usize>,
    queued: BTreeSet<u64>,
}

/// What became of mail, by recipient.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    /// Recipients that the fleet took mail for.
    pub(super) accepted: usize,
    pub(super) delivered: usize,
    /// Given up, and the sender has the report.
    pub(super) bounced: usize,
    pub(super) queued: usize,
    /// Neither of these.
    pub(super) lost: Vec<Parcel>,
    /// Superfluous copies in mailboxes, reports included: there should be none, since a second delivery finds the first.
    pub(super) local_duplicates: usize,
    /// Superfluous copies at the far end.
    pub(super) remote_duplicates: usize,
    /// What was given up though its recipient takes mail.
    pub(super) wrongly_bounced: Vec<Parcel>,
    /// What arrived though no client was told so: the connection was lost before its 250.
    pub(super) unacknowledged: usize,
}

impl Arrivals {
    /// Looks everywhere.
    pub(super) async fn count(fleet: &Fleet, far_end: &FarEnd) -> Result<Self> {
        let mut arrivals = Self {
            far_end: far_end.received(),
            queued: queued(&fleet.database).await?,
            ..Self::default()
        };
        for mail in mail_in(&fleet.mailbox(BOB))? {
            if let Some(tag) = tag_of(&mail) {
                *arrivals.mailbox.entry((tag, BOB)).or_default() += 1;
            }
        }
        for report in mail_in(&fleet.mailbox(ALICE))? {
            if let Some(tag) = tag_of(&report) {
                for recipient in given_up(&report) {
                    *arrivals.bounced.entry((tag, recipient)).or_default() += 1;
                }
            }
        }
        Ok(arrivals)
    }

    fn is_delivered(&self, parcel: &Parcel) -> bool {
        let at_far_end = |received: &Received| received.acknowledged;
        self.mailbox.contains_key(parcel) || self.far_end.get(parcel).is_some_and(at_far_end)
    }
}

impl Tally {
    /// Compares what was accepted with what arrived.
    pub(super) fn of(entries: &Entries, arrivals: &Arrivals) -> Self {
        let mut tally = Self::default();
        for (tag, recipients) in &entries.accepted {
            for recipient in *recipients {
                tally.settle((*tag, *recipient), arrivals);
            }
        }
        let copies = |counts: &mut dyn Iterator<Item = usize>| -> usize {
            counts.map(|count| count.saturating_sub(1)).sum()
        };
        tally.local_duplicates = copies(&mut arrivals.mailbox.values().copied())
            + copies(&mut arrivals.bounced.values().copied());
        tally.remote_duplicates = copies(&mut arrivals.far_end.values().map(|far| far.copies));
        let was_accepted = |(tag, _): &&Parcel| entries.accepted.contains_key(tag);
        let arrived = arrivals.mailbox.keys().chain(arrivals.far_end.keys());
        tally.unacknowledged = arrived.filter(|parcel| !was_accepted(parcel)).count();
        tally
    }

    /// Superfluous copies, wherever they are.
    pub(super) fn duplicated(&self) -> usize {
        self.local_duplicates + self.remote_duplicates
    }

    fn settle(&mut self, parcel: Parcel, arrivals: &Arrivals) {
        self.accepted += 1;
        let bounced = arrivals.bounced.contains_key(&parcel);
        if arrivals.is_delivered(&parcel) {
            self.delivered += 1;
        } else if bounced {
            self.bounced += 1;
        } else if arrivals.queued.contains(&parcel.0) {
            self.queued += 1;
        } else {
            self.lost.push(parcel);
        }
        if bounced && parcel.1 != NOBODY {
            self.wrongly_bounced.push(parcel);
        }
    }
}

/// The messages in a mailbox.
fn mail_in(mailbox: &Path) -> Result<Vec<String>> {
    let Ok(entries) = std::fs::read_dir(mailbox.join("new")) else {
        // A mailbox is made with its first message.
        return Ok(Vec::new());
    };
    let mut mail = Vec::new();
    for entry in entries {
        let file = entry?.path();
        let octets =
            std::fs::read(&file).with_context(|| format!("can't read {}", file.display()))?;
        mail.push(String::from_utf8_lossy(&octets).into_owned());
    }
    Ok(mail)
}

/// The tags of what is queued, reports included.
async fn queued(database: &Database) -> Result<BTreeSet<u64>> {
    let mut connection = database.connect().await?;
    let contents = sqlx::query("SELECT content FROM queue.message WHERE content IS NOT NULL UNION ALL SELECT data FROM queue.content")
        .fetch_all(&mut connection)
        .await
        .context("can't look at what is queued")?;
    let mut tags = BTreeSet::new();
    for row in contents {
        let content: Vec<u8> = row.try_get(0)?;
        tags.extend(tag_of(&String::from_utf8_lossy(&content)));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::letters::JO;

    #[test]
    fn what_is_nowhere_is_lost_and_what_is_twice_is_a_duplicate() {
        let mut entries = Entries::default();
        entries.accepted = BTreeMap::from([
            (1, &[BOB, JO][..]),
            (2, &[NOBODY][..]),
            (3, &[JO][..]),
            (4, &[BOB][..]),
        ]);
        let received = |copies: usize, acknowledged: bool| Received {
            copies,
            acknowledged,
        };
        let arrivals = Arrivals {
            mailbox: BTreeMap::from([((1, BOB), 2)]),
            far_end: BTreeMap::from([
                ((1, JO), received(3, true)),
                ((3, JO), received(1, false)),
                ((5, JO), received(1, true)),
            ]),
            bounced: BTreeMap::from([((2, NOBODY), 1)]),
            queued: BTreeSet::from([4]),
        };
        let tally = Tally::of(&entries, &arrivals);
        let counts = (tally.accepted, tally.delivered, tally.bounced, tally.queued);
        assert_eq!(counts, (5, 2, 1, 1));
        // It was not told 250, so it must come again.
        assert_eq!(tally.lost, [(3, JO)]);
        assert_eq!((tally.local_duplicates, tally.remote_duplicates), (1, 2));
        assert_eq!(tally.unacknowledged, 1);
        assert!(tally.wrongly_bounced.is_empty());
    }
}
