//! What clients know of their mail.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use smtp::Reply;
use smtp::client::{Ending, RecipientResult, Stage};

use super::clients::Way;
use super::letters::Tag;

/// What clients know of their mail.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    /// Whom the fleet has taken each message for: it said 250 after the final dot.
    pub(crate) acknowledged: BTreeMap<Tag, Vec<&'static str>>,
    /// Refusals and how often each was heard, as `Port25 at MAIL: 421 …`.
    refusals: BTreeMap<String, usize>,
    /// Sessions that ended without a word while something was under way.
    cuts: BTreeMap<String, usize>,
    /// When each client was last told 250.
    last: BTreeMap<usize, Instant>,
    longest_outage: Duration,
}

/// Why a client comes back.
pub(super) enum Trouble {
    /// There is nobody to talk to: the service is away.
    NoSession,
    /// The server said no, for now or for ever.
    Refused(Stage, Reply),
    /// The session ended without a word.
    Cut(Stage, Ending),
}

impl Trouble {
    /// What is wrong with a result; nothing if the message was taken.
    pub(super) fn with(result: RecipientResult) -> Option<Self> {
        match result {
            RecipientResult::Accepted(_) => None,
            RecipientResult::TooManyRecipients(reply) => Some(Self::Refused(Stage::Rcpt, reply)),
            RecipientResult::Refused { stage, reply }
            | RecipientResult::Interrupted {
                stage,
                ending: Ending::ByServer(reply),
            } => Some(Self::Refused(stage, reply)),
            RecipientResult::Interrupted { stage, ending } => Some(Self::Cut(stage, ending)),
        }
    }
}

impl Sent {
    /// How many messages were acknowledged.
    pub(crate) fn messages(&self) -> usize {
        self.acknowledged.len()
    }

    /// The longest time that any client went from one 250 to its next.
    pub(crate) fn longest_outage(&self) -> Duration {
        self.longest_outage
    }

    /// Whether a client on this way heard these words.
    pub(crate) fn was_refused(&self, way: Way, words: &str) -> bool {
        let of_way = format!("{way:?} ");
        let mut heard = self.refusals.keys();
        heard.any(|refusal| refusal.starts_with(&of_way) && refusal.contains(words))
    }

    /// Everything that was refused otherwise than with this code.
    pub(crate) fn refused_other_than(&self, code: &str) -> Vec<&String> {
        let code = format!(": {code} ");
        let refusals = self.refusals.keys();
        refusals
            .filter(|refusal| !refusal.contains(&code))
            .collect()
    }

    /// Everything that was refused for good (5yz, RFC 5321 §4.2.1).
    pub(crate) fn refused_for_good(&self) -> Vec<&String> {
        let refusals = self.refusals.keys();
        refusals.filter(|refusal| refusal.contains(": 5")).collect()
    }

    /// Sessions that ended without a word while something was under way.
    pub(crate) fn cuts(&self) -> Vec<&String> {
        self.cuts.keys().collect()
    }

    /// How often anyone was refused or cut off.
    pub(crate) fn troubles(&self) -> usize {
        self.refusals.values().chain(self.cuts.values()).sum()
    }

    pub(super) fn acknowledged(&mut self, client: usize, tag: &str, recipient: &'static str) {
        let recipients = self.acknowledged.entry(tag.to_owned()).or_default();
        recipients.push(recipient);
        let now = Instant::now();
        if let Some(last) = self.last.insert(client, now) {
            self.longest_outage = self.longest_outage.max(now - last);
        }
    }

    pub(super) fn trouble(&mut self, way: Way, trouble: Trouble) {
        let (list, what) = match trouble {
            Trouble::NoSession => return,
            Trouble::Refused(stage, reply) => {
                (&mut self.refusals, format!("{way:?} at {stage}: {reply}"))
            }
            Trouble::Cut(stage, ending) => {
                (&mut self.cuts, format!("{way:?} at {stage}: {ending}"))
            }
        };
        *list.entry(what).or_default() += 1;
    }
}
