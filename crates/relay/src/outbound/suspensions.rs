//! Keeps producers informed of the destinations that rest, and wakes those whose route has changed.

use std::time::Duration;

use queue::{Queue, Suspension};
use rpc::directory::DirectoryClient;
use rpc::hand_off::RelayHandOff;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::scheduler::Routes;

/// Between looks at the registry.
const EVERY: Duration = Duration::from_secs(3);
/// More destinations than this aren't told; their mail is leased and given back.
const MOST: u32 = 10_000;

/// Watches the suspended destinations.
pub(crate) struct SuspensionWatch {
    /// Where they are registered.
    pub(crate) queue: Queue,
    /// Where producers are told.
    pub(crate) hand_off: RelayHandOff,
    /// Where mail goes now.
    pub(crate) routes: Routes,
    /// Which domains are local.
    pub(crate) directory: DirectoryClient,
}

impl SuspensionWatch {
    /// Watches until stopped; wakes the poll when a destination was opened.
    pub(crate) async fn run(self, work: &Notify, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.queue.suspensions(MOST).await {
                Ok(suspensions) => self.look(suspensions, work).await,
                Err(error) => tracing::warn!(
                    error = service::one_line(&error),
                    "could not read the suspended destinations"
                ),
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn look(&self, suspensions: Vec<Suspension>, work: &Notify) {
        let mut resting = Vec::with_capacity(suspensions.len());
        for suspension in suspensions {
            if self.route_has_changed(&suspension).await {
                self.open(&suspension, work).await;
            } else {
                resting.push(suspension.destination);
            }
        }
        self.hand_off.set_suspended(resting);
    }

    async fn route_has_changed(&self, suspension: &Suspension) -> bool {
        let domain = &suspension.destination.domain;
        let Ok(is_local) = self.directory.is_local(domain).await else {
            return false;
        };
        let next_hop = self.routes.load().next_hop(domain, is_local);
        !suspension.route.is_empty() && next_hop.to_string() != suspension.route
    }

    async fn open(&self, suspension: &Suspension, work: &Notify) {
        let domain = &suspension.destination.domain;
        match self.queue.open(&suspension.destination).await {
            Ok(()) => {
                tracing::info!(
                    domain,
                    old_route = suspension.route,
                    "route has changed, destination is open again"
                );
                work.notify_one();
            }
            Err(error) => tracing::warn!(
                domain,
                error = service::one_line(&error),
                "could not open the destination"
            ),
        }
    }
}
