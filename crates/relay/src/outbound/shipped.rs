//! What far ends said on the recipients of a shipment, gathered from host to host.

use std::net::SocketAddr;
use std::sync::Arc;

use smtp::client::{Ending, NotBegun, RecipientResult, Stage};
use smtp::{EnhancedStatus, Outcome, Reply, Report};
use smtp_net::NotSent;

use super::attempt::{FarEnd, Said};
use super::failure::Failure;

/// So many hosts may say "not now" to the same recipients in one attempt. More of them would only
/// be bothered.
const HOSTS_THAT_DEFER: usize = 2;

/// What became of a shipment.
#[derive(Debug)]
pub(crate) struct Shipped {
    words: Vec<Word>,
    /// Why there was no word on some recipients.
    pub(crate) undecided: Option<Failure>,
    /// Whom we spoke with last, or tried to.
    pub(crate) far_end: Arc<FarEnd>,
    /// The lease was no longer certain before a final dot: nothing may be concluded.
    pub(crate) fenced: bool,
    /// Addresses that said something on recipients: not to be asked again in this attempt.
    spoken: Vec<SocketAddr>,
}

/// What is known of one recipient.
#[derive(Debug, Clone)]
enum Word {
    Nothing,
    /// A 4yz: the next host may do better (RFC 5321 §5.1). If none does, this is what counts.
    NotNow(Said),
    /// No other host is to be asked.
    Last(Said),
}

impl Shipped {
    pub(crate) fn nothing(recipients: usize) -> Self {
        Self {
            words: vec![Word::Nothing; recipients],
            undecided: None,
            far_end: Arc::default(),
            fenced: false,
            spoken: Vec::new(),
        }
    }

    /// What was said on each recipient, in order.
    pub(crate) fn into_said(self) -> impl Iterator<Item = Option<Said>> {
        self.words.into_iter().map(|word| match word {
            Word::Nothing => None,
            Word::NotNow(said) | Word::Last(said) => Some(said),
        })
    }

    /// Nobody got a word: no host gave us a session, or none kept it.
    pub(crate) fn is_turned_away(&self) -> bool {
        self.words.iter().all(|word| matches!(word, Word::Nothing))
            && (self.undecided.as_ref()).is_some_and(Failure::suspends_destination)
    }

    /// No host is to be asked any more.
    pub(crate) fn is_over(&self) -> bool {
        self.fenced || self.pending().is_empty() || self.spoken.len() >= HOSTS_THAT_DEFER
    }

    /// Whether this address has had its say.
    pub(crate) fn has_spoken(&self, address: SocketAddr) -> bool {
        self.spoken.contains(&address)
    }

    /// Recipients on whom a further host may be asked.
    pub(crate) fn pending(&self) -> Vec<usize> {
        let words = self.words.iter().enumerate();
        let open = words.filter(|(_, word)| !matches!(word, Word::Last(_)));
        open.map(|(index, _)| index).collect()
    }

    /// A host failed us.
    pub(crate) fn note(&mut self, failure: Failure) {
        self.undecided = Some(match self.undecided.take() {
            Some(earlier) => earlier.or(failure),
            None => failure,
        });
    }

    /// Takes what the host at `address` said on `asked`. Tells whom to send to in a next
    /// transaction.
    pub(crate) fn apply(
        &mut self,
        address: SocketAddr,
        asked: &[usize],
        results: Vec<RecipientResult>,
    ) -> Vec<usize> {
        if results.is_empty() {
            self.note(Failure::broken_off(
                "the session ended before the transaction did",
            ));
        }
        let mut next = Vec::new();
        for (index, result) in asked.iter().zip(results) {
            match judge(result) {
                Judged::Said(outcome) => {
                    let is_last = !outcome.is_deferred();
                    self.hear(address, *index, outcome, is_last);
                }
                Judged::Last(outcome) => self.hear(address, *index, outcome, true),
                Judged::NextHost(failure) => self.note(failure),
                Judged::NextTransaction => next.push(*index),
            }
        }
        next
    }

    /// Takes that nothing could be sent to `asked` over the connection to `address`.
    pub(crate) fn not_sent(&mut self, address: SocketAddr, asked: &[usize], not_sent: NotSent) {
        let failure = match not_sent {
            NotSent::NotBegun(NotBegun::Unsupported8Bit) => Failure::not_sendable(
                EnhancedStatus::new(5, 6, 3),
                "the message has 8-bit content, and the host lacks 8BITMIME (RFC 6152)",
            ),
            NotSent::NotBegun(NotBegun::TooLarge { limit }) => Failure::not_sendable(
                EnhancedStatus::new(5, 3, 4),
                format!("the host takes {limit} octets at most (SIZE, RFC 1870)"),
            ),
            NotSent::Content(error) => {
                Failure::not_sendable(EnhancedStatus::new(5, 6, 0), error.to_string())
            }
            NotSent::NotBegun(error) => return self.note(Failure::lost(error.to_string())),
            NotSent::Fenced => {
                self.fenced = true;
                return;
            }
        };
        for index in asked {
            self.hear(address, *index, failure.clone().into_outcome(), true);
        }
    }

    fn hear(&mut self, address: SocketAddr, index: usize, outcome: Outcome, is_last: bool) {
        if !self.has_spoken(address) {
            self.spoken.push(address);
        }
        let said = Said {
            outcome,
            far_end: Arc::clone(&self.far_end),
        };
        if let Some(word) = self.words.get_mut(index) {
            *word = if is_last {
                Word::Last(said)
            } else {
                Word::NotNow(said)
            };
        }
    }
}

enum Judged {
    Said(Outcome),
    /// No other host is to be asked, whatever the outcome.
    Last(Outcome),
    NextHost(Failure),
    NextTransaction,
}

/// What a far end's word on one recipient means.
fn judge(result: RecipientResult) -> Judged {
    match result {
        RecipientResult::Accepted(reply) => {
            let status = reply.status.unwrap_or(EnhancedStatus::new(2, 0, 0));
            let report = Report::new(status, Some(reply), "accepted");
            Judged::Said(Outcome::Delivered(report))
        }
        RecipientResult::Refused { stage, reply } if ends_session(&reply) => {
            Judged::NextHost(Failure::session_refused(reply, &stage.to_string()))
        }
        RecipientResult::Refused {
            stage: Stage::Rcpt,
            reply,
        } => Judged::Said(Failure::recipient_refused(reply).into_outcome()),
        RecipientResult::Refused { stage, reply } => {
            Judged::Said(Failure::message_refused(reply, &stage.to_string()).into_outcome())
        }
        RecipientResult::TooManyRecipients(_) => Judged::NextTransaction,
        RecipientResult::Interrupted {
            stage: Stage::FinalDot,
            ending,
        } => Judged::Last(Failure::unanswered_dot(&ending).into_outcome()),
        RecipientResult::Interrupted {
            stage,
            ending: Ending::ByServer(reply),
        } => Judged::NextHost(Failure::session_refused(reply, &stage.to_string())),
        RecipientResult::Interrupted { stage, ending } => {
            Judged::NextHost(Failure::broken_off(format!("{ending} ({stage})")))
        }
    }
}

/// RFC 5321 §3.8: with 421 the server closes, whatever was asked.
fn ends_session(reply: &Reply) -> bool {
    reply.code == smtp::ReplyCode::UNAVAILABLE
}
