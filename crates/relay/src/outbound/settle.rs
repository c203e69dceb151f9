//! Recording how attempts ended. Completions are gathered into shared commits by the queue, so
//! nobody waits here for one but a task of its own, which keeps the unit known until the answer is
//! there.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use queue::{Completed, Completer, DestinationFailure, DestinationKey, Queue};
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;

use super::conclude::Conclusion;
use super::events::AttemptStory;
use super::failure::Failure;
use super::held::Place;
use super::retry::Backoff;
use rpc::hand_off::RelayHandOff;

/// Completions that may be under way. Workers beyond them wait, so that a database that is away
/// stops the sending too.
const UNDER_WAY: usize = 4096;

/// Records conclusions.
#[derive(Clone)]
pub(crate) struct Settler {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Queue,
    completer: Completer,
    /// The back-off of suspended destinations.
    backoff: Backoff,
    under_way: Arc<Semaphore>,
    tasks: TaskTracker,
    /// Destinations that reopened and aren't fully open yet.
    ramping: Mutex<HashSet<DestinationKey>>,
    /// Woken when mail was queued that nobody holds.
    work: Arc<Notify>,
    /// Tells producers which destinations rest.
    hand_off: RelayHandOff,
}

/// What goes with a conclusion.
pub(crate) struct Ending {
    /// The unit's place among what is held.
    pub(crate) place: Place,
    /// The attempt, for the log.
    pub(crate) story: AttemptStory,
    /// Tenant and routing domain.
    pub(crate) destination: DestinationKey,
    /// Whether this attempt found out if the destination is back.
    pub(crate) probe: bool,
}

impl Settler {
    /// Records with `completer`; destinations rest as `backoff` says; `work` is woken when a
    /// notification was queued.
    pub(crate) fn new(
        queue: Queue,
        completer: Completer,
        backoff: Backoff,
        work: Arc<Notify>,
        hand_off: RelayHandOff,
    ) -> Self {
        let shared = Shared {
            queue,
            completer,
            backoff,
            under_way: Arc::new(Semaphore::new(UNDER_WAY)),
            tasks: TaskTracker::new(),
            ramping: Mutex::default(),
            work,
            hand_off,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Sees to it that a conclusion is recorded; waits only while too many others are under way.
    pub(crate) async fn settle(&self, ending: Ending, conclusion: Conclusion) {
        // First of all: else what is given back would be tried again at once.
        if let Some(failure) = &conclusion.suspend {
            let (destination, route) = (&ending.destination, &ending.story.next_hop);
            self.shared.suspend(destination, failure, route).await;
        }
        // The semaphore is never closed; without a permit the task would only be one too many.
        let permit = self.shared.under_way.clone().acquire_owned().await.ok();
        let shared = self.shared.clone();
        self.shared.tasks.spawn(async move {
            shared.record(ending, conclusion).await;
            drop(permit);
        });
    }

    /// Waits until everything that was given to [`Self::settle`] is recorded.
    pub(crate) async fn drain(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Shared {
    async fn record(&self, ending: Ending, conclusion: Conclusion) {
        let Ending {
            place,
            story,
            destination,
            probe,
        } = ending;
        let Conclusion {
            completion,
            notification,
            fates,
            suspend,
        } = conclusion;
        let lease = completion.lease();
        match self.completer.complete(completion).await {
            Ok(Completed::Done { .. }) => {
                story.ended(&fates);
                if let Some(notification) = notification {
                    notification.queued();
                    self.work.notify_one();
                }
            }
            Ok(Completed::Fenced) => story.fenced(),
            Err(error) => {
                tracing::error!(unit = %lease.unit, error = &error as &dyn std::error::Error, "completion was not recorded");
            }
        }
        drop(place);
        if suspend.is_none() {
            self.reopen(destination, probe).await;
        }
    }

    async fn suspend(&self, destination: &DestinationKey, failure: &Failure, route: &str) {
        self.hand_off.suspend(destination.clone());
        let reply = failure.to_string();
        let failed = DestinationFailure {
            reply: &reply,
            route,
            first_pause: self.backoff.first,
            longest_pause: self.backoff.longest,
        };
        match self.queue.suspend(destination, failed).await {
            Ok(suspension) => tracing::warn!(
                tenant = destination.tenant.0,
                domain = destination.domain,
                next_hop = route,
                failures = suspension.failures,
                until = suspension.until.map(tracing::field::display),
                reply,
                "destination suspended"
            ),
            Err(error) => {
                tracing::warn!(
                    domain = destination.domain,
                    error = service::one_line(&error),
                    "could not suspend the destination"
                );
            }
        }
    }

    async fn reopen(&self, destination: DestinationKey, probe: bool) {
        if !probe && !self.ramping().contains(&destination) {
            return;
        }
        match self.queue.note_success(&destination).await {
            Ok(true) => {
                self.ramping().remove(&destination);
                self.hand_off.reopen(&destination);
                tracing::info!(domain = destination.domain, "destination is open again");
            }
            Ok(false) => {
                self.ramping().insert(destination);
            }
            Err(error) => {
                tracing::warn!(
                    domain = destination.domain,
                    error = service::one_line(&error),
                    "could not reopen the destination"
                )
            }
        }
        self.work.notify_one();
    }

    fn ramping(&self) -> std::sync::MutexGuard<'_, HashSet<DestinationKey>> {
        // No code panics while it holds this lock, and a set is whole after any insert or remove.
        self.ramping.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
