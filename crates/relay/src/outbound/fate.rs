//! What became of each recipient in an attempt, in the words of log, traces, journal and queue. Pure.

use std::sync::Arc;
use std::time::Duration;

use message::dsn::Action;
use queue::{JournalEntry, JournalOutcome, LeasedRecipient, LeasedUnit, Settlement};
use service::telemetry::traces::Span;
use smtp::{EnhancedStatus, Outcome, Report};
use time::OffsetDateTime;

use super::attempt::{Attempted, FarEnd};
use super::failure::Failure;
use super::notify::GivenUp;

/// What became of one recipient.
#[derive(Debug, Clone)]
pub(crate) struct Fate {
    /// Number within the message.
    pub(crate) number: i32,
    /// How it ended this time.
    pub(crate) end: End,
    /// The words.
    pub(crate) report: Report,
    /// Who said them.
    pub(crate) far_end: Arc<FarEnd>,
}

/// How an attempt ended for a recipient, expiry taken into account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The next hop took responsibility.
    Delivered,
    /// To be tried again.
    Deferred,
    /// Given up: refused for good.
    Failed,
    /// Given up: its time was up.
    Expired,
    /// Kept until it is released, as a route says.
    Held,
    /// Thrown away, as a route says.
    Discarded,
}

impl Fate {
    /// Tells of it in an attempt's span.
    pub(crate) fn note_in(&self, span: &mut Span) {
        let (status, reply) = (&self.report.status, words(&self.report));
        span.recipient(self.end.as_str(), self.number, status, &reply);
        if let Some(host) = &self.far_end.host {
            span.note("chasqui.host", host);
        }
        if let Some(tls) = &self.far_end.tls {
            span.note("chasqui.tls", tls);
        }
    }

    pub(crate) fn given_up(&self) -> Option<GivenUp> {
        let action = match self.end {
            End::Failed => Action::Failed,
            End::Expired => Action::Expired,
            End::Delivered | End::Deferred | End::Held | End::Discarded => return None,
        };
        Some(GivenUp {
            number: self.number,
            action,
            report: self.report.clone(),
            far_end: Arc::clone(&self.far_end),
        })
    }
}

impl End {
    /// Its name in traces and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Deferred => "deferred",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Held => "held",
            Self::Discarded => "discarded",
        }
    }

    pub(crate) fn settlement(self) -> Option<Settlement> {
        match self {
            Self::Delivered => Some(Settlement::Delivered),
            Self::Failed => Some(Settlement::Failed),
            Self::Expired => Some(Settlement::Expired),
            Self::Discarded => Some(Settlement::Discarded),
            Self::Deferred | Self::Held => None,
        }
    }

    fn journal(self) -> JournalOutcome {
        match self {
            Self::Delivered => JournalOutcome::Delivered,
            Self::Deferred => JournalOutcome::Deferred,
            Self::Failed => JournalOutcome::Failed,
            Self::Expired => JournalOutcome::Expired,
            Self::Held => JournalOutcome::Returned,
            Self::Discarded => JournalOutcome::Discarded,
        }
    }
}

/// The far end's words, or ours where it said nothing.
pub(crate) fn words(report: &Report) -> String {
    match &report.reply {
        Some(reply) => reply.to_string(),
        None => report.detail.clone(),
    }
}

/// What an attempt found out about each recipient of a unit.
pub(crate) fn fates(unit: &LeasedUnit, attempted: &Attempted, now: OffsetDateTime) -> Vec<Fate> {
    // A trouble of ours is no attempt: what it kept us from trying doesn't expire yet.
    let is_ours = (attempted.undecided.as_ref()).is_some_and(Failure::is_internal);
    let expired = now >= unit.expires_at && !is_ours;
    let fate = |recipient: &LeasedRecipient| {
        let mut said = attempted.said.iter();
        let said = said.find(|(number, _)| *number == recipient.number);
        let (outcome, far_end) = match said {
            Some((_, said)) => (said.outcome.clone(), &said.far_end),
            None => (undecided(attempted.undecided.as_ref()), &attempted.far_end),
        };
        let end = match &outcome {
            Outcome::Delivered(_) => End::Delivered,
            Outcome::Deferred(_) if expired => End::Expired,
            Outcome::Deferred(_) => End::Deferred,
            Outcome::Failed(_) => End::Failed,
        };
        Fate {
            number: recipient.number,
            end,
            report: outcome.into_report(),
            far_end: Arc::clone(far_end),
        }
    };
    unit.recipients.iter().map(fate).collect()
}

/// All recipients of a unit share an end, at which nothing was to be sent.
pub(crate) fn unsent(unit: &LeasedUnit, end: End, reason: &str) -> Vec<Fate> {
    let fate = |recipient: &LeasedRecipient| Fate {
        number: recipient.number,
        end,
        report: Report::new(EnhancedStatus::new(2, 0, 0), None, reason),
        far_end: Arc::default(),
    };
    unit.recipients.iter().map(fate).collect()
}

fn undecided(failure: Option<&Failure>) -> Outcome {
    failure
        .cloned()
        .unwrap_or_else(|| Failure::internal("no outcome was reported"))
        .into_outcome()
}

/// One entry for each group of recipients that fared alike.
pub(crate) fn journal(fates: &[Fate], duration: Duration) -> Vec<JournalEntry> {
    let mut entries: Vec<JournalEntry> = Vec::new();
    for fate in fates {
        let (outcome, far_end) = (fate.end.journal(), &fate.far_end);
        let reply = words(&fate.report);
        let alike = entries.iter_mut().find(|entry| {
            entry.outcome == outcome
                && entry.status == fate.report.status
                && entry.reply == reply
                && entry.host_address == far_end.host_address
        });
        if let Some(entry) = alike {
            entry.recipients.push(fate.number);
            continue;
        }
        entries.push(JournalEntry {
            recipients: vec![fate.number],
            outcome,
            status: fate.report.status,
            reply,
            source_address: far_end.source_address,
            host: far_end.host.clone(),
            host_address: far_end.host_address,
            tls: far_end.tls.clone(),
            duration,
        });
    }
    entries
}
