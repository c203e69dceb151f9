//! From what an attempt found out to what is recorded: who is settled and how, when the rest is
//! due, what the journal says and who is notified. Pure: no clock, no database.

use std::time::Duration;

use queue::{Completion, Content, LeasedUnit, Rest, Settlement};
use smtp::EnhancedStatus;
use time::OffsetDateTime;

use super::attempt::Attempted;
use super::events::NotificationStory;
use super::failure::Failure;
use super::fate::{End, Fate, fates, journal, unsent, words};
use super::notify::Notifier;
use super::retry::{Backoff, due_at};

/// What concluding must know.
#[derive(Debug, Clone)]
pub(crate) struct Conclude {
    /// The back-off of deferred units.
    pub(crate) backoff: Backoff,
    /// How soon to try again when something of ours was at fault.
    pub(crate) internal_retry: Duration,
    /// Writes notifications.
    pub(crate) notifier: Notifier,
}

/// An attempt's end, ready to be recorded.
#[derive(Debug)]
pub(crate) struct Conclusion {
    /// What goes to the queue.
    pub(crate) completion: Completion,
    /// The notification that goes with it, for the log.
    pub(crate) notification: Option<NotificationStory>,
    /// The recipients' fates, for the log.
    pub(crate) fates: Vec<Fate>,
    /// Why the destination is to rest.
    pub(crate) suspend: Option<Failure>,
}

impl Conclude {
    /// Concludes an attempt. `content` is the original, for a notification; `spread` is a random
    /// number in 0..1 for the jitter.
    pub(crate) fn conclude(
        &self,
        unit: LeasedUnit,
        attempted: Attempted,
        content: &Content,
        now: OffsetDateTime,
        spread: f64,
    ) -> Conclusion {
        let fates = fates(&unit, &attempted, now);
        let settled = settled(&fates);
        let rest = self.rest(&unit, &attempted, &fates, now, spread);
        let given_up = fates.iter().filter_map(Fate::given_up).collect();
        let notification = self.notifier.notification(&unit, given_up, content, now);
        let journal = journal(&fates, attempted.duration);
        let nobody_heard = attempted.said.is_empty();
        let suspend = attempted
            .undecided
            .filter(|failure| nobody_heard && failure.suspends_destination());
        let story = notification.as_ref().map(NotificationStory::new);
        let completion = Completion::new(unit, settled, rest)
            .about(content)
            .journalled(journal)
            .notifying(notification);
        Conclusion {
            completion,
            notification: story,
            fates,
            suspend,
        }
    }

    /// Gives back a unit that wasn't tried because its destination is down, and rests the
    /// destination.
    pub(crate) fn untried(&self, unit: LeasedUnit, suspend: Option<Failure>) -> Conclusion {
        Conclusion {
            completion: Completion::new(unit, [], Rest::Release { charge: false }),
            notification: None,
            fates: Vec::new(),
            suspend,
        }
    }

    /// Keeps a unit until it is released, as a route says.
    pub(crate) fn hold(&self, unit: LeasedUnit) -> Conclusion {
        let reason = format!("a route holds mail for {}", unit.domain);
        let fates = unsent(&unit, End::Held, &reason);
        Conclusion::unsent(unit, fates, Rest::Hold { reason })
    }

    /// Throws a unit away, as a route says.
    pub(crate) fn discard(&self, unit: LeasedUnit) -> Conclusion {
        let fates = unsent(&unit, End::Discarded, "a route discards this mail");
        // Nobody remains, so that the rest applies to nobody.
        Conclusion::unsent(unit, fates, Rest::Release { charge: false })
    }

    /// What becomes of those that aren't settled: after a recipient's or a message's transient
    /// failure they are due after a back-off; when the destination rests, they wait for it and not
    /// for a time of their own.
    fn rest(
        &self,
        unit: &LeasedUnit,
        attempted: &Attempted,
        fates: &[Fate],
        now: OffsetDateTime,
        spread: f64,
    ) -> Rest {
        let delay = match &attempted.undecided {
            Some(failure) if failure.suspends_destination() && attempted.said.is_empty() => {
                return Rest::Release { charge: true };
            }
            Some(failure) if failure.is_internal() => self.internal_retry.mul_f64(0.5 + spread),
            _ => self
                .backoff
                .delay(unit.tries.max(0).unsigned_abs() + 1, spread),
        };
        let report = fates
            .iter()
            .find(|fate| fate.end == End::Deferred)
            .map(|fate| &fate.report);
        Rest::Defer {
            due_at: due_at(now, delay, unit.expires_at),
            status: report.map_or(EnhancedStatus::new(4, 0, 0), |report| report.status),
            reply: report.map(words).unwrap_or_default(),
        }
    }
}

impl Conclusion {
    /// Nothing was to be sent, and nobody is told anything.
    fn unsent(unit: LeasedUnit, fates: Vec<Fate>, rest: Rest) -> Self {
        let journal = journal(&fates, Duration::ZERO);
        Self {
            completion: Completion::new(unit, settled(&fates), rest).journalled(journal),
            notification: None,
            fates,
            suspend: None,
        }
    }
}

fn settled(fates: &[Fate]) -> Vec<(i32, Settlement)> {
    let settled = fates.iter();
    settled
        .filter_map(|fate| Some((fate.number, fate.end.settlement()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use queue::{
        IncarnationId, Lease, LeasedRecipient, QueueId, Shard, Tenant, TraceParent, UnitId,
    };
    use smtp::{Body, Mailbox, Outcome, Reply, ReplyCode, Report, ReversePath};

    use super::super::attempt::Said;
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn conclude() -> Conclude {
        Conclude {
            backoff: Backoff {
                first: Duration::from_secs(300),
                longest: Duration::from_secs(14_400),
            },
            internal_retry: Duration::from_secs(10),
            notifier: Notifier {
                host_name: "mx.example".to_owned(),
                author: Mailbox::parse("mailer-daemon@mx.example").unwrap(),
                expire_after: Duration::from_secs(432_000),
            },
        }
    }

    fn unit(recipients: i32) -> LeasedUnit {
        let queue_id = QueueId::generate(Shard::all().next().unwrap());
        let recipients = (0..recipients).map(|number| LeasedRecipient {
            number,
            mailbox: Mailbox::parse(&format!("user{number}@far.example")).unwrap(),
        });
        LeasedUnit {
            lease: Lease {
                unit: UnitId {
                    queue_id,
                    number: 0,
                },
                holder: IncarnationId(1),
                attempt: 1,
            },
            tenant: Tenant::NONE,
            domain: "far.example".to_owned(),
            reverse_path: ReversePath::from_address("sender@here.example").unwrap(),
            body: Body::SevenBit,
            recipients: recipients.collect(),
            size: 10,
            content: None,
            accepted_at: NOW,
            expires_at: NOW + Duration::from_secs(432_000),
            trace: TraceParent::generate(),
            unclean_takeovers: 0,
            probe: false,
            tries: 0,
        }
    }

    fn refused(code: u16) -> Outcome {
        Failure::recipient_refused(Reply::new(ReplyCode::new(code), None, "no")).into_outcome()
    }

    fn attempted(outcomes: Vec<(i32, Outcome)>, undecided: Option<Failure>) -> Attempted {
        let said = |outcome| Said {
            outcome,
            far_end: Arc::default(),
        };
        let outcomes = outcomes.into_iter();
        Attempted {
            said: outcomes
                .map(|(number, outcome)| (number, said(outcome)))
                .collect(),
            undecided,
            far_end: Arc::default(),
            duration: Duration::ZERO,
        }
    }

    fn end(conclusion: &Conclusion, number: i32) -> End {
        conclusion
            .fates
            .iter()
            .find(|fate| fate.number == number)
            .unwrap()
            .end
    }

    fn concluded(unit: LeasedUnit, attempted: Attempted, now: OffsetDateTime) -> Conclusion {
        conclude().conclude(unit, attempted, &Content::default(), now, 0.5)
    }

    #[test]
    fn each_recipient_has_a_fate_of_its_own_and_failures_are_notified() {
        let delivered = Outcome::Delivered(Report::new(EnhancedStatus::new(2, 0, 0), None, "ok"));
        let outcomes = vec![(0, delivered), (1, refused(550)), (2, refused(450))];
        let conclusion = concluded(unit(3), attempted(outcomes, None), NOW);
        assert_eq!(end(&conclusion, 0), End::Delivered);
        assert_eq!(end(&conclusion, 1), End::Failed);
        assert_eq!(end(&conclusion, 2), End::Deferred);
        assert!(conclusion.notification.is_some());
        assert!(conclusion.suspend.is_none());
    }

    #[test]
    fn a_host_that_is_down_suspends_and_a_greylisting_one_does_not() {
        let down = Failure::unreachable("connection refused");
        let conclusion = concluded(unit(1), attempted(vec![], Some(down.clone())), NOW);
        assert_eq!(conclusion.suspend, Some(down.clone()));
        assert!(conclusion.notification.is_none());
        let outcomes = vec![(0, refused(450))];
        let conclusion = concluded(unit(2), attempted(outcomes, Some(down)), NOW);
        assert_eq!(conclusion.suspend, None, "the host spoke, so it isn't down");
    }

    #[test]
    fn what_is_past_its_time_expires_at_the_attempt_and_is_notified() {
        let unit = unit(1);
        let late = unit.expires_at + Duration::from_secs(1);
        let conclusion = concluded(unit, attempted(vec![(0, refused(450))], None), late);
        assert_eq!(end(&conclusion, 0), End::Expired);
        assert!(conclusion.notification.is_some());
    }

    #[test]
    fn a_null_reverse_path_is_never_notified() {
        let mut unit = unit(1);
        unit.reverse_path = ReversePath::Null;
        let conclusion = concluded(unit, attempted(vec![(0, refused(550))], None), NOW);
        assert_eq!(end(&conclusion, 0), End::Failed);
        assert!(conclusion.notification.is_none());
    }

    #[test]
    fn trouble_of_our_own_defers_and_neither_bounces_nor_suspends() {
        let failure = Failure::internal("delivery cannot be reached");
        let conclusion = concluded(unit(1), attempted(vec![], Some(failure)), NOW);
        assert_eq!(end(&conclusion, 0), End::Deferred);
        assert!(conclusion.suspend.is_none());
    }

    #[test]
    fn trouble_of_our_own_expires_nothing() {
        let unit = unit(1);
        let late = unit.expires_at + Duration::from_secs(1);
        let failure = Failure::internal("delivery cannot be reached");
        let conclusion = concluded(unit, attempted(vec![], Some(failure)), late);
        assert_eq!(end(&conclusion, 0), End::Deferred);
        assert!(conclusion.notification.is_none());
    }

    #[test]
    fn a_recipient_without_a_word_is_deferred_not_lost() {
        let conclusion = concluded(unit(1), attempted(vec![], None), NOW);
        assert_eq!(end(&conclusion, 0), End::Deferred);
    }

    #[test]
    fn recipients_that_fared_alike_share_a_journal_entry() {
        let fates = fates(
            &unit(3),
            &attempted(vec![(0, refused(550)), (1, refused(550))], None),
            NOW,
        );
        let journal = journal(&fates, Duration::ZERO);
        assert_eq!(journal.len(), 2);
        assert_eq!(journal[0].recipients, [0, 1]);
        assert_eq!(journal[1].recipients, [2]);
    }

    #[test]
    fn what_a_route_holds_stays_and_what_it_discards_is_settled_and_both_are_told() {
        let held = conclude().hold(unit(2));
        assert_eq!([end(&held, 0), end(&held, 1)], [End::Held; 2]);
        assert_eq!(settled(&held.fates), []);
        let discarded = conclude().discard(unit(2));
        assert_eq!(
            [end(&discarded, 0), end(&discarded, 1)],
            [End::Discarded; 2]
        );
        let all = [(0, Settlement::Discarded), (1, Settlement::Discarded)];
        assert_eq!(settled(&discarded.fates), all);
        assert!(held.notification.is_none() && discarded.notification.is_none());
    }
}
