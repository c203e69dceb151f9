//! A worker serves one next hop: it takes what waits there, attempts it, hands the result on, and
//! keeps its connection for what comes next.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use queue::{Content, Heart, LeasedUnit};
use rpc::delivery::DeliveryClient;
use service::telemetry::traces::Span;

use super::attempt::Attempted;
use super::conclude::{Conclude, Conclusion};
use super::content::{ContentStore, Fetched};
use super::deliver_local;
use super::deliver_remote::{Line, RemoteSender, Shipment};
use super::events::{AttemptStory, attempt_begins};
use super::failure::Failure;
use super::held::{HeldUnit, Place};
use super::metrics;
use super::route::NextHop;
use super::scheduler::Scheduler;
use super::settle::{Ending, Settler};
use super::shipped::Shipped;

/// How often a worker looks whether its leases are certain again.
const HEART_CHECK: Duration = Duration::from_millis(200);

/// What workers share.
#[derive(Clone)]
pub(crate) struct WorkerContext {
    /// Content that isn't at hand.
    pub(crate) contents: ContentStore,
    /// Sends to remote next hops.
    pub(crate) remote: Arc<RemoteSender>,
    /// Takes what is for our own mailboxes.
    pub(crate) delivery: DeliveryClient,
    /// Tells whether leases are certain.
    pub(crate) heart: Arc<Heart>,
    /// No final dot and no `Deliver` within so much of the end of the lease.
    pub(crate) heart_margin: Duration,
    /// Makes conclusions.
    pub(crate) conclude: Arc<Conclude>,
    /// Records them.
    pub(crate) settler: Settler,
    /// How long a connection is kept without work.
    pub(crate) idle: Duration,
}

impl WorkerContext {
    fn lease_is_certain(&self) -> bool {
        self.heart.is_good(self.heart_margin)
    }
}

/// What a worker does after an attempt.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    End,
}

/// Serves a next hop until there is no more work for it.
pub(crate) async fn work(scheduler: Scheduler, next_hop: NextHop) {
    let on_connect = || -> Box<dyn Send + Sync> { Box::new(Connected::new(&scheduler, &next_hop)) };
    let mut line = Line::new(&on_connect);
    loop {
        wait_for_certain_leases(&scheduler).await;
        if scheduler.stop().is_cancelled() {
            break;
        }
        let group = scheduler.lanes().take(&next_hop);
        let next = if group.is_empty() {
            rest(&scheduler, &next_hop, &line).await
        } else {
            attempt(&scheduler, &next_hop, &mut line, group).await
        };
        if next == Next::End {
            break;
        }
    }
    line.close().await;
}

/// An attempt that could not be finished isn't begun: with the database away, leases run out.
async fn wait_for_certain_leases(scheduler: &Scheduler) {
    while !scheduler.context().lease_is_certain() && !scheduler.stop().is_cancelled() {
        tokio::time::sleep(HEART_CHECK).await;
    }
}

/// Keeps an open connection for a while in case that more work comes.
async fn rest(scheduler: &Scheduler, next_hop: &NextHop, line: &Line<'_>) -> Next {
    let arrived = if line.is_open() {
        scheduler.lanes().rest(next_hop)
    } else {
        None
    };
    if let Some(arrived) = arrived {
        tokio::select! {
            () = arrived.notified() => {}
            () = tokio::time::sleep(scheduler.context().idle) => {}
            () = scheduler.stop().cancelled() => {}
        }
        let mut lanes = scheduler.lanes();
        lanes.resume(next_hop);
        if lanes.has_work(next_hop) {
            return Next::GoOn;
        }
    }
    if scheduler.lanes().retire(next_hop) {
        Next::End
    } else {
        Next::GoOn
    }
}

async fn attempt(
    scheduler: &Scheduler,
    next_hop: &NextHop,
    line: &mut Line<'_>,
    group: Vec<HeldUnit>,
) -> Next {
    let mut round = Round {
        scheduler,
        next_hop,
        started: Instant::now(),
        span: None,
    };
    match next_hop {
        NextHop::Hold => round.hold(group).await,
        NextHop::Discard => round.discard(group).await,
        NextHop::Unknown => {
            round
                .fail(group, &Failure::internal("the directory did not answer"))
                .await
        }
        NextHop::Local | NextHop::SmartHost(_) | NextHop::Mx(_) => {
            match scheduler.context().contents.fetch(&group).await {
                Ok(Some(content)) => return round.send(line, group, content).await,
                // The message is gone: others completed it, and our lease with it.
                Ok(None) => tracing::info!(next_hop = %next_hop, "the message is no longer queued"),
                Err(error) => {
                    round
                        .fail(group, &Failure::internal(error.to_string()))
                        .await
                }
            }
        }
    }
    Next::GoOn
}

/// One attempt at the units of one message.
struct Round<'a> {
    scheduler: &'a Scheduler,
    next_hop: &'a NextHop,
    started: Instant,
    /// From when something is sent.
    span: Option<Span>,
}

impl<'a> Round<'a> {
    async fn send(&mut self, line: &mut Line<'_>, group: Vec<HeldUnit>, content: Fetched) -> Next {
        for held in &group {
            attempt_begins(&held.unit, self.next_hop);
        }
        self.span = group.first().map(|first| span(&first.unit, self.next_hop));
        if *self.next_hop == NextHop::Local {
            self.deliver(group, content).await;
            return Next::GoOn;
        }
        let Some(shipment) = shipment(&group, &content) else {
            return Next::GoOn;
        };
        let context = self.context();
        let fence = || context.lease_is_certain();
        let shipped = context
            .remote
            .send(line, self.next_hop, &shipment, &fence)
            .await;
        if shipped.fenced {
            // Nothing was concluded: the group waits until leases are certain, or is fenced for
            // good.
            self.put_back(group);
            return Next::GoOn;
        }
        if shipped.is_turned_away() {
            return self.turned_away(group, shipped, &content).await;
        }
        self.conclude_shipped(group, shipped, &content).await;
        Next::GoOn
    }

    async fn deliver(&mut self, group: Vec<HeldUnit>, content: Fetched) {
        if !self.context().lease_is_certain() {
            return self.put_back(group);
        }
        let units: Vec<_> = group.iter().map(|held| &held.unit).collect();
        let trace = self.span.as_ref().and_then(Span::context);
        let delivery = &self.context().delivery;
        let handed = deliver_local::deliver(delivery, &units, content.content.clone(), trace).await;
        for held in group {
            let attempted = Attempted {
                said: handed.said.clone(),
                undecided: handed.undecided.clone(),
                far_end: handed.far_end.clone(),
                duration: self.started.elapsed(),
            };
            self.conclude(held, attempted, &content.content).await;
        }
    }

    /// No host gave us a session. Either they only take no more of them, or the destination is
    /// down: then everything that waits for it goes back, and what wasn't tried isn't charged.
    async fn turned_away(
        &mut self,
        group: Vec<HeldUnit>,
        shipped: Shipped,
        content: &Fetched,
    ) -> Next {
        let tried = group.len();
        let Some(mut all) = self.scheduler.lanes().turned_away(self.next_hop, group) else {
            return Next::End;
        };
        let untried = all.split_off(tried.min(all.len()));
        let failure = shipped.undecided.clone();
        let mut resting: HashSet<_> = all.iter().map(|held| held.unit.destination()).collect();
        self.conclude_shipped(all, shipped, content).await;
        for HeldUnit { unit, place } in untried {
            let ending = self.ending(&unit, place);
            // A destination rests once, however many units come back from it.
            let is_first = resting.insert(unit.destination());
            let suspend = failure.clone().filter(|_| is_first);
            let conclusion = self.context().conclude.untried(unit, suspend);
            self.settle(ending, conclusion).await;
        }
        Next::GoOn
    }

    /// Splits what was said on a shipment among its units.
    async fn conclude_shipped(
        &mut self,
        group: Vec<HeldUnit>,
        shipped: Shipped,
        content: &Fetched,
    ) {
        let (undecided, far_end) = (shipped.undecided.clone(), Arc::clone(&shipped.far_end));
        let mut words = shipped.into_said();
        for held in group {
            let recipients = held.unit.recipients.iter();
            let words = recipients.zip(words.by_ref());
            let attempted = Attempted {
                said: words
                    .filter_map(|(recipient, said)| Some((recipient.number, said?)))
                    .collect(),
                undecided: undecided.clone(),
                far_end: Arc::clone(&far_end),
                duration: self.started.elapsed(),
            };
            self.conclude(held, attempted, &content.content).await;
        }
    }

    async fn fail(&mut self, group: Vec<HeldUnit>, failure: &Failure) {
        for held in group {
            self.conclude(
                held,
                Attempted::failed(failure.clone(), self.started.elapsed()),
                &Content::default(),
            )
            .await;
        }
    }

    async fn hold(&self, group: Vec<HeldUnit>) {
        for HeldUnit { unit, place } in group {
            let ending = self.ending(&unit, place);
            let conclusion = self.context().conclude.hold(unit);
            self.settle(ending, conclusion).await;
        }
    }

    async fn discard(&self, group: Vec<HeldUnit>) {
        for HeldUnit { unit, place } in group {
            let ending = self.ending(&unit, place);
            let conclusion = self.context().conclude.discard(unit);
            self.settle(ending, conclusion).await;
        }
    }

    async fn conclude(&mut self, held: HeldUnit, attempted: Attempted, content: &Content) {
        let HeldUnit { unit, place } = held;
        let ending = self.ending(&unit, place);
        let now = time::OffsetDateTime::now_utc();
        let duration = attempted.duration;
        let conclude = &self.context().conclude;
        let conclusion = conclude.conclude(unit, attempted, content, now, rand::random());
        metrics::attempted(self.next_hop, &conclusion.fates, duration);
        if let Some(span) = &mut self.span {
            conclusion.fates.iter().for_each(|fate| fate.note_in(span));
        }
        self.settle(ending, conclusion).await;
    }

    async fn settle(&self, ending: Ending, conclusion: Conclusion) {
        self.context().settler.settle(ending, conclusion).await;
    }

    fn ending(&self, unit: &LeasedUnit, place: Place) -> Ending {
        Ending {
            place,
            story: AttemptStory::new(unit, self.next_hop.to_string()),
            destination: unit.destination(),
            probe: unit.probe,
        }
    }

    fn context(&self) -> &'a WorkerContext {
        self.scheduler.context()
    }

    fn put_back(&self, group: Vec<HeldUnit>) {
        for held in group {
            self.scheduler.push(self.next_hop, held);
        }
    }
}

/// Days may lie between acceptance and attempt: the trace begins anew, with a link to the old one.
fn span(first: &LeasedUnit, next_hop: &NextHop) -> Span {
    let mut span = Span::attempt(first.trace, next_hop);
    span.note("chasqui.queue_id", &first.lease.unit.queue_id);
    span.note("chasqui.attempt", &first.lease.attempt);
    span
}

fn shipment(group: &[HeldUnit], content: &Fetched) -> Option<Shipment> {
    let first = group.first()?;
    let recipients = group.iter().flat_map(|held| &held.unit.recipients);
    Some(Shipment {
        reverse_path: first.unit.reverse_path.clone(),
        recipients: recipients
            .map(|recipient| recipient.mailbox.clone())
            .collect(),
        body: first.unit.body,
        content: content.content.parts(),
    })
}

/// Counts as a connection of its lane while it lives.
struct Connected {
    scheduler: Scheduler,
    next_hop: NextHop,
}

impl Connected {
    fn new(scheduler: &Scheduler, next_hop: &NextHop) -> Self {
        scheduler.lanes().connected(next_hop);
        Self {
            scheduler: scheduler.clone(),
            next_hop: next_hop.clone(),
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.scheduler.lanes().disconnected(&self.next_hop);
    }
}
