//! The life of the outbound side: one incarnation after the other. Normally there is one; an
//! incarnation that was pronounced dead (the process stood still, or the database was out of its
//! reach for too long) drops everything and the next begins.

use std::sync::Arc;
use std::time::Duration;

use queue::{
    Claimer, CompleteConfig, Completer, Heart, HeartConfig, IncarnationId, Lease, Progress, Queue,
    Registration, Retention,
};
use rand::RngExt;
use rpc::delivery::DeliveryClient;
use rpc::directory::DirectoryClient;
use rpc::hand_off::RelayHandOff;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::census::CensusTaker;
use super::conclude::Conclude;
use super::content::ContentStore;
use super::deliver_remote::RemoteSender;
use super::engine::{Engine, Sink};
use super::expiry::Expiry;
use super::held::{HeldUnit, Holdings};
use super::intake::Intake;
use super::lanes::LaneLimits;
use super::metrics;
use super::retry::Backoff;
use super::scheduler::{Routes, Scheduler};
use super::settle::Settler;
use super::suspensions::SuspensionWatch;
use super::worker::WorkerContext;

/// Between tries to register while the database is away.
const REGISTER_RETRY: Duration = Duration::from_secs(1);
/// Middle of the time between rounds of upkeep.
const UPKEEP_EVERY: Duration = Duration::from_secs(60);
/// No final dot and no `Deliver` begins within so much of the end of a lease: clocks of two hosts
/// tick alike, but a write may take its time.
const HEART_MARGIN: Duration = Duration::from_secs(2);

/// What every incarnation is made of.
#[derive(Clone)]
pub(crate) struct Outbound {
    /// The queue.
    pub(crate) queue: Queue,
    /// What an incarnation tells about itself.
    pub(crate) registration: Registration,
    /// Where producers hand mail off.
    pub(crate) hand_off: RelayHandOff,
    /// Its way in.
    pub(crate) sink: Sink,
    /// Which domains are local.
    pub(crate) directory: DirectoryClient,
    /// Takes local mail.
    pub(crate) delivery: DeliveryClient,
    /// Sends remote mail.
    pub(crate) remote: Arc<RemoteSender>,
    /// Where mail goes.
    pub(crate) routes: Routes,
    /// Makes conclusions.
    pub(crate) conclude: Arc<Conclude>,
    /// How destinations rest.
    pub(crate) suspend: Backoff,
    /// How many work at once.
    pub(crate) limits: LaneLimits,
    /// Units held besides those that were handed off.
    pub(crate) claimed: usize,
    /// Octets of content read back at once.
    pub(crate) content_memory: u64,
    /// How long a connection is kept without work.
    pub(crate) idle: Duration,
    /// Middle of the time between polls.
    pub(crate) poll: Duration,
    /// Counts what is queued, if anybody wants to know.
    pub(crate) census: Option<CensusTaker>,
    /// How long a shutdown waits for attempts under way.
    pub(crate) drain_deadline: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Stopped,
    Fenced,
}

impl Outbound {
    /// Lives until stopped, and ends in good order: what isn't finished is given back.
    pub(crate) async fn run(self, stop: CancellationToken) {
        metrics::begin();
        while !stop.is_cancelled() {
            let Some(incarnation) = self.register(&stop).await else {
                return;
            };
            tracing::info!(incarnation = incarnation.0, "ready to send");
            if self.live(incarnation, &stop).await == Ended::Fenced {
                tracing::error!(
                    incarnation = incarnation.0,
                    "pronounced dead: this process stood still or had no database for too long; starting anew"
                );
            }
        }
    }

    async fn register(&self, stop: &CancellationToken) -> Option<IncarnationId> {
        while !stop.is_cancelled() {
            match self.queue.register(&self.registration).await {
                Ok(incarnation) => return Some(incarnation),
                Err(error) => tracing::warn!(
                    error = service::one_line(&error),
                    "could not register this relay"
                ),
            }
            stop.run_until_cancelled(sleep(REGISTER_RETRY)).await;
        }
        None
    }

    async fn live(&self, incarnation: IncarnationId, stop: &CancellationToken) -> Ended {
        let progress = Progress::default();
        let heart = Arc::new(Heart::start(
            &self.queue,
            incarnation,
            HeartConfig::default(),
            progress.clone(),
        ));
        let mut fenced = heart.fenced();
        let settler = self.settler();
        let holdings = Holdings::new(self.claimed, self.sink.work.clone());
        let (stop_workers, stop_intake) = (CancellationToken::new(), CancellationToken::new());
        let scheduler = self.scheduler(&heart, &settler, stop_workers.clone());
        self.sink.set(Some(Engine {
            incarnation,
            holdings: holdings.clone(),
            scheduler: scheduler.clone(),
        }));
        self.hand_off.open(incarnation);
        let intake = Intake {
            queue: self.queue.clone(),
            claimer: Claimer::new(self.queue.clone(), incarnation),
            holdings,
            scheduler: scheduler.clone(),
            expiry: Expiry {
                queue: self.queue.clone(),
                conclude: self.conclude.clone(),
                settler: settler.clone(),
            },
            work: self.sink.work.clone(),
            progress,
            poll: self.poll,
            stop: stop_intake.clone(),
        };
        let background = async {
            tokio::join!(
                intake.run(),
                self.watch_suspensions(&stop_intake),
                self.count(incarnation, &stop_intake),
                self.keep_up(&stop_intake)
            );
        };
        let ended = async {
            let ended = tokio::select! {
                _ = fenced.wait_for(|fenced| *fenced) => Ended::Fenced,
                () = stop.cancelled() => Ended::Stopped,
            };
            self.hand_off.close();
            self.sink.set(None);
            stop_intake.cancel();
            ended
        };
        let ((), ended) = tokio::join!(background, ended);
        stop_workers.cancel();
        self.finish(incarnation, ended, &scheduler, &settler).await;
        ended
    }

    /// Ends an incarnation: what waits goes back untried, what is under way may finish. A fenced
    /// one owns nothing that it could give back.
    async fn finish(
        &self,
        incarnation: IncarnationId,
        ended: Ended,
        scheduler: &Scheduler,
        settler: &Settler,
    ) {
        let waiting = scheduler.drain();
        if ended == Ended::Fenced {
            drop(waiting);
        } else {
            self.give_back(incarnation, waiting).await;
        }
        if timeout(self.drain_deadline, scheduler.finish())
            .await
            .is_err()
        {
            tracing::warn!(
                "attempts under way did not finish in time; another relay will take them over"
            );
        }
        if timeout(self.drain_deadline, settler.drain()).await.is_err() {
            tracing::warn!("completions were not recorded in time: their mail may arrive twice");
        }
        if ended == Ended::Stopped
            && let Err(error) = self.queue.end_incarnation(incarnation).await
        {
            tracing::warn!(
                error = service::one_line(&error),
                "could not end the incarnation; its leases will lapse"
            );
        }
    }

    async fn give_back(&self, incarnation: IncarnationId, waiting: Vec<HeldUnit>) {
        let leases: Vec<Lease> = waiting.iter().map(|held| held.unit.lease).collect();
        let (units, claimer) = (leases.len(), Claimer::new(self.queue.clone(), incarnation));
        if let Err(error) = claimer.give_back(leases).await {
            tracing::warn!(
                error = service::one_line(&error),
                units,
                "could not give units back; their leases will lapse"
            );
        }
    }

    fn settler(&self) -> Settler {
        let completer =
            Completer::start(&self.queue, &CompleteConfig::new(&self.registration.node));
        Settler::new(
            self.queue.clone(),
            completer,
            self.suspend,
            self.sink.work.clone(),
            self.hand_off.clone(),
        )
    }

    fn scheduler(
        &self,
        heart: &Arc<Heart>,
        settler: &Settler,
        stop: CancellationToken,
    ) -> Scheduler {
        let context = WorkerContext {
            contents: ContentStore::new(self.queue.clone(), self.content_memory),
            remote: self.remote.clone(),
            delivery: self.delivery.clone(),
            heart: heart.clone(),
            heart_margin: HEART_MARGIN,
            conclude: self.conclude.clone(),
            settler: settler.clone(),
            idle: self.idle,
        };
        Scheduler::new(
            self.limits,
            self.routes.clone(),
            self.directory.clone(),
            context,
            stop,
        )
    }

    async fn watch_suspensions(&self, stop: &CancellationToken) {
        let watch = SuspensionWatch {
            queue: self.queue.clone(),
            hand_off: self.hand_off.clone(),
            routes: self.routes.clone(),
            directory: self.directory.clone(),
        };
        watch.run(&self.sink.work, stop.clone()).await;
    }

    async fn count(&self, incarnation: IncarnationId, stop: &CancellationToken) {
        if let Some(census) = &self.census {
            census.run(&self.queue, incarnation, stop).await;
        }
    }

    async fn keep_up(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.queue.upkeep(Retention::default()).await {
                tracing::warn!(
                    error = service::one_line(&error),
                    "upkeep of the queue failed"
                );
            }
            let pause = UPKEEP_EVERY.mul_f64(rand::rng().random_range(0.7..1.3));
            stop.run_until_cancelled(sleep(pause)).await;
        }
    }
}
