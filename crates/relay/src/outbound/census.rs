//! How much is queued, told for the whole fleet by one of its relays.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::{KeyValue, global};
use queue::{Census, IncarnationId, Queue};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Least time between two censuses.
const EVERY: Duration = Duration::from_secs(10);
/// A census reads all units: it may take this share of the time at most.
const SHARE: u32 = 100;

/// Takes the census of the queue, and tells what was found last.
#[derive(Clone, Debug)]
pub(crate) struct CensusTaker {
    latest: Arc<Mutex<Vec<Census>>>,
}

impl CensusTaker {
    /// Tells from now on.
    pub(crate) fn new() -> Self {
        let taker = Self {
            latest: Arc::default(),
        };
        let meter = global::meter("chasqui");
        let told = taker.clone();
        meter
            .i64_observable_gauge("chasqui_queue_units")
            .with_description("Queued units of the whole fleet, by state; from one relay only")
            .with_callback(move |gauge| {
                told.each(|found, labels| gauge.observe(found.units, labels));
            })
            .build();
        let told = taker.clone();
        meter
            .f64_observable_gauge("chasqui_queue_oldest_seconds")
            .with_description("Time since the first unit of a state became due or was leased")
            .with_callback(move |gauge| {
                told.each(|found, labels| gauge.observe(found.oldest_seconds, labels));
            })
            .build();
        taker
    }

    /// Counts now and then, until stopped.
    pub(crate) async fn run(
        &self,
        queue: &Queue,
        incarnation: IncarnationId,
        stop: &CancellationToken,
    ) {
        while !stop.is_cancelled() {
            let began = Instant::now();
            self.keep(match queue.census(incarnation).await {
                Ok(census) => census,
                Err(error) => {
                    tracing::warn!(
                        error = service::one_line(&error),
                        "the queue is not counted"
                    );
                    Vec::new()
                }
            });
            let pause = EVERY.max(began.elapsed() * SHARE);
            stop.run_until_cancelled(sleep(pause)).await;
        }
        self.keep(Vec::new());
    }

    fn keep(&self, census: Vec<Census>) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = census;
    }

    fn each(&self, mut tell: impl FnMut(&Census, &[KeyValue])) {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        for found in latest.iter() {
            tell(found, &[KeyValue::new("state", found.state)]);
        }
    }
}
