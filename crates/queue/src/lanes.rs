//! Natural batching: while one commit is in flight, the next one gathers.
//!
//! A few *lanes* take jobs from one bounded queue, one lane at a time, and commit what they have
//! gathered, one shard at a time. A lane that gathers goes when no commit is in flight, or when it
//! has enough for a commit beside the others. So a lone job goes at once, without a timer, and the
//! busier it gets, the larger the batches; a statement costs as much as a dozen rows.
//!
//! A lane commits by whichever *committer* was used last, so that in quiet times one session of the
//! database does all the work, and what it needs stays in the caches. When a job is expected, the
//! lane that waits for it lets that committer rehearse.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use tokio::sync::{Mutex, Notify, mpsc, oneshot};

use crate::ids::Shard;

/// Something to be committed, and who waits for it. The caller may be gone: the commit goes on.
pub(crate) struct Job<Item, Answer> {
    pub(crate) item: Item,
    caller: oneshot::Sender<Answer>,
}

impl<Item, Answer> Job<Item, Answer> {
    /// Separates the item from its caller.
    pub(crate) fn into_parts(self) -> (Item, Caller<Answer>) {
        (self.item, Caller(self.caller))
    }
}

/// Who waits for an answer.
pub(crate) struct Caller<Answer>(oneshot::Sender<Answer>);

impl<Answer> Caller<Answer> {
    pub(crate) fn answer(self, answer: Answer) {
        // A caller that is gone needs no answer.
        let _ = self.0.send(answer);
    }
}

/// What a lane does with a batch.
pub(crate) trait Committer: Send + 'static {
    type Item: Send + 'static;
    type Answer: Send + 'static;

    /// A batch touches one shard.
    fn shard(item: &Self::Item) -> Shard;

    /// Octets that the item adds to a batch.
    fn weight(item: &Self::Item) -> usize;

    /// Commits a batch of one shard and answers every job of it.
    fn commit(
        &mut self,
        batch: Vec<Job<Self::Item, Self::Answer>>,
    ) -> impl Future<Output = ()> + Send;

    /// Gets ready for a commit that is about to come. What goes wrong here goes wrong again there,
    /// and is told there.
    fn rehearse(&mut self) -> impl Future<Output = ()> + Send;
}

/// How much goes into one batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
}

impl BatchLimits {
    /// So much is worth a commit of its own, beside those in flight.
    fn enough(self) -> Self {
        Self {
            items: self.items.div_ceil(4),
            bytes: self.bytes.div_ceil(4),
        }
    }
}

/// The lanes are gone, or died: nothing is committed any more.
#[derive(Debug)]
pub(crate) struct Closed;

/// The way to the lanes. They end when the last clone is dropped and all jobs are answered.
pub(crate) struct Lanes<C: Committer> {
    jobs: mpsc::Sender<Job<C::Item, C::Answer>>,
    expected: Arc<Notify>,
}

impl<C: Committer> Clone for Lanes<C> {
    fn clone(&self) -> Self {
        Self {
            jobs: self.jobs.clone(),
            expected: Arc::clone(&self.expected),
        }
    }
}

impl<C: Committer> Lanes<C> {
    /// Starts one lane per committer. At most `waiting` jobs wait for a lane; their callers wait
    /// in [`Lanes::submit`] beyond that.
    pub(crate) fn start(
        committers: impl IntoIterator<Item = C>,
        limits: BatchLimits,
        waiting: usize,
    ) -> Self {
        let (jobs, waiting) = mpsc::channel(waiting.max(1));
        let committers: Vec<C> = committers.into_iter().collect();
        let lanes = committers.len();
        let expected = Arc::new(Notify::new());
        let intake = Arc::new(Intake {
            expected: Arc::clone(&expected),
            waiting: Mutex::new(waiting),
            idle: std::sync::Mutex::new(committers),
            in_flight: AtomicUsize::new(0),
            landed: Notify::new(),
        });
        for _ in 0..lanes {
            tokio::spawn(run(Arc::clone(&intake), limits));
        }
        Self { jobs, expected }
    }

    /// Tells that a job is about to come. Costs next to nothing while there are others.
    pub(crate) fn expect(&self) {
        self.expected.notify_one();
    }

    /// Has an item committed, and waits for the answer.
    pub(crate) async fn submit(&self, item: C::Item) -> Result<C::Answer, Closed> {
        let (caller, answer) = oneshot::channel();
        let job = Job { item, caller };
        self.jobs.send(job).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }
}

/// What the lanes share.
struct Intake<C: Committer> {
    /// A job is about to come.
    expected: Arc<Notify>,
    /// The lane that gathers has it to itself.
    waiting: Mutex<mpsc::Receiver<Job<C::Item, C::Answer>>>,
    /// As many as there are lanes that don't commit; the one that was used last on top.
    idle: std::sync::Mutex<Vec<C>>,
    /// Commits that other lanes have in flight.
    in_flight: AtomicUsize,
    /// A commit has ended.
    landed: Notify,
}

async fn run<C: Committer>(intake: Arc<Intake<C>>, limits: BatchLimits) {
    let mut gathered = VecDeque::new();
    while intake.gather(&mut gathered, limits).await {
        // A lane that dies takes its committer along, so that there is one for each that lives.
        let Some(mut committer) = intake.idle().pop() else {
            return;
        };
        let _flight = Flight::start(&intake);
        let batch = take_batch::<C>(&mut gathered, limits);
        committer.commit(batch).await;
        intake.idle().push(committer);
    }
}

/// A commit in flight; ends when dropped, however that comes about.
struct Flight<'a, C: Committer>(&'a Intake<C>);

impl<'a, C: Committer> Flight<'a, C> {
    fn start(intake: &'a Intake<C>) -> Self {
        intake.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(intake)
    }
}

impl<C: Committer> Drop for Flight<'_, C> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.landed.notify_one();
    }
}

impl<C: Committer> Intake<C> {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<C>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gathers jobs until it is time to commit. False when there will be no more.
    async fn gather(
        &self,
        gathered: &mut VecDeque<Job<C::Item, C::Answer>>,
        limits: BatchLimits,
    ) -> bool {
        if !gathered.is_empty() {
            // Left over from a batch of another shard: they have waited long enough.
            if let Ok(mut waiting) = self.waiting.try_lock() {
                take_waiting(&mut waiting, gathered, limits.items);
            }
            return true;
        }
        let mut waiting = self.waiting.lock().await;
        let Some(first) = self.first(&mut waiting).await else {
            return false;
        };
        gathered.push_back(first);
        let enough = limits.enough();
        let (mut counted, mut bytes) = (0, 0);
        loop {
            take_waiting(&mut waiting, gathered, limits.items);
            let new = gathered.iter().skip(counted);
            bytes += new.map(|job| C::weight(&job.item)).sum::<usize>();
            counted = gathered.len();
            if self.in_flight.load(Ordering::Relaxed) == 0
                || gathered.len() >= enough.items
                || bytes >= enough.bytes
            {
                return true;
            }
            tokio::select! {
                () = self.landed.notified() => {}
                job = waiting.recv() => match job {
                    Some(job) => gathered.push_back(job),
                    None => return true,
                },
            }
        }
    }

    /// Waits for a job, and rehearses when one is expected.
    async fn first(
        &self,
        waiting: &mut mpsc::Receiver<Job<C::Item, C::Answer>>,
    ) -> Option<Job<C::Item, C::Answer>> {
        loop {
            tokio::select! {
                biased;
                job = waiting.recv() => return job,
                () = self.expected.notified() => self.rehearse().await,
            }
        }
    }

    /// Has the committer rehearse that was used last, unless it is at work.
    async fn rehearse(&self) {
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return;
        }
        let committer = self.idle().pop();
        if let Some(mut committer) = committer {
            committer.rehearse().await;
            self.idle().push(committer);
        }
    }
}

/// Takes what waits already, up to `most` in all.
fn take_waiting<Item, Answer>(
    waiting: &mut mpsc::Receiver<Job<Item, Answer>>,
    gathered: &mut VecDeque<Job<Item, Answer>>,
    most: usize,
) {
    while gathered.len() < most {
        match waiting.try_recv() {
            Ok(job) => gathered.push_back(job),
            Err(_) => break,
        }
    }
}

/// Takes the first job and those behind it that share its shard, as far as the limits allow.
fn take_batch<C: Committer>(
    gathered: &mut VecDeque<Job<C::Item, C::Answer>>,
    limits: BatchLimits,
) -> Vec<Job<C::Item, C::Answer>> {
    let mut batch = Vec::with_capacity(gathered.len());
    let mut bytes = 0_usize;
    let mut shard = None;
    for job in std::mem::take(gathered) {
        let weight = C::weight(&job.item);
        let fits = batch.is_empty()
            || (shard == Some(C::shard(&job.item)) && bytes + weight <= limits.bytes);
        if fits {
            shard = Some(C::shard(&job.item));
            bytes += weight;
            batch.push(job);
        } else {
            gathered.push_back(job);
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Records its batches; commits each when it is told to. A rehearsal is an empty one.
    struct Recorder {
        batches: mpsc::UnboundedSender<Vec<(u8, usize)>>,
        proceed: Arc<tokio::sync::Semaphore>,
    }

    impl Committer for Recorder {
        type Item = (u8, usize);
        type Answer = ();

        fn shard(item: &Self::Item) -> Shard {
            Shard::new(item.0).unwrap()
        }

        fn weight(item: &Self::Item) -> usize {
            item.1
        }

        async fn commit(&mut self, batch: Vec<Job<Self::Item, ()>>) {
            let items = batch.iter().map(|job| job.item).collect();
            self.batches.send(items).unwrap();
            self.proceed.acquire().await.unwrap().forget();
            for job in batch {
                job.into_parts().1.answer(());
            }
        }

        async fn rehearse(&mut self) {
            self.commit(Vec::new()).await;
        }
    }

    struct Fixture {
        lanes: Lanes<Recorder>,
        batches: mpsc::UnboundedReceiver<Vec<(u8, usize)>>,
        proceed: Arc<tokio::sync::Semaphore>,
    }

    impl Fixture {
        fn new(lanes: usize, limits: BatchLimits) -> Self {
            let (sender, batches) = mpsc::unbounded_channel();
            let proceed = Arc::new(tokio::sync::Semaphore::new(0));
            let recorders = (0..lanes).map(|_| Recorder {
                batches: sender.clone(),
                proceed: Arc::clone(&proceed),
            });
            Self {
                lanes: Lanes::start(recorders, limits, 100),
                batches,
                proceed,
            }
        }

        /// Queues a job, and lets the lanes see it.
        async fn submit(&self, item: (u8, usize)) -> tokio::task::JoinHandle<()> {
            let lanes = self.lanes.clone();
            let caller = tokio::spawn(async move { lanes.submit(item).await.unwrap() });
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            caller
        }
    }

    /// Queues jobs while the first is in flight in the only lane; returns the batches that follow.
    async fn batches_behind_the_first(
        limits: BatchLimits,
        items: &[(u8, usize)],
    ) -> Vec<Vec<(u8, usize)>> {
        let mut fixture = Fixture::new(1, limits);
        let mut answers = vec![fixture.submit((0, 0)).await];
        assert_eq!(fixture.batches.recv().await.unwrap(), [(0, 0)]);
        for item in items {
            answers.push(fixture.submit(*item).await);
        }
        fixture.proceed.add_permits(1 + items.len());
        for answer in answers {
            answer.await.unwrap();
        }
        drop(fixture.lanes);
        let mut batches = Vec::new();
        while let Some(batch) = fixture.batches.recv().await {
            batches.push(batch);
        }
        batches
    }

    #[tokio::test]
    async fn what_comes_during_a_commit_shares_the_next() {
        let limits = BatchLimits {
            items: 10,
            bytes: 100,
        };
        let batches = batches_behind_the_first(limits, &[(3, 1), (3, 2), (3, 3)]).await;
        assert_eq!(batches, [vec![(3, 1), (3, 2), (3, 3)]]);
    }

    #[tokio::test]
    async fn a_batch_touches_one_shard() {
        let limits = BatchLimits {
            items: 10,
            bytes: 100,
        };
        let batches = batches_behind_the_first(limits, &[(1, 1), (2, 2), (1, 3)]).await;
        assert_eq!(batches, [vec![(1, 1), (1, 3)], vec![(2, 2)]]);
    }

    #[tokio::test]
    async fn batches_are_capped_in_items_and_bytes_but_take_one_item_of_any_size() {
        let limits = BatchLimits {
            items: 2,
            bytes: 100,
        };
        let batches =
            batches_behind_the_first(limits, &[(1, 1), (1, 2), (1, 900), (1, 60), (1, 60)]).await;
        assert_eq!(
            batches,
            [
                vec![(1, 1), (1, 2)],
                vec![(1, 900)],
                vec![(1, 60)],
                vec![(1, 60)]
            ]
        );
    }

    #[tokio::test]
    async fn a_second_lane_goes_when_the_first_has_landed_or_there_is_enough_for_two() {
        let limits = BatchLimits {
            items: 12,
            bytes: 400,
        };
        let mut fixture = Fixture::new(2, limits);
        let mut answers = vec![fixture.submit((0, 0)).await];
        assert_eq!(fixture.batches.recv().await.unwrap(), [(0, 0)]);
        answers.push(fixture.submit((1, 1)).await);
        answers.push(fixture.submit((1, 2)).await);
        assert!(fixture.batches.try_recv().is_err(), "it gathers");
        fixture.proceed.add_permits(1);
        assert_eq!(fixture.batches.recv().await.unwrap(), [(1, 1), (1, 2)]);
        for item in [(2, 1), (2, 2), (2, 3)] {
            assert!(fixture.batches.try_recv().is_err(), "it gathers");
            answers.push(fixture.submit(item).await);
        }
        let batch = fixture.batches.recv().await.unwrap();
        assert_eq!(
            batch,
            [(2, 1), (2, 2), (2, 3)],
            "a quarter of the limit is enough"
        );
        fixture.proceed.add_permits(10);
        for answer in answers {
            answer.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_job_that_is_expected_is_rehearsed_unless_others_are_in_flight() {
        let limits = BatchLimits {
            items: 12,
            bytes: 400,
        };
        let mut fixture = Fixture::new(2, limits);
        fixture.lanes.expect();
        assert_eq!(fixture.batches.recv().await.unwrap(), []);
        let rehearsed = fixture.submit((1, 1)).await;
        assert!(fixture.batches.try_recv().is_err(), "it waits its turn");
        fixture.proceed.add_permits(1);
        assert_eq!(fixture.batches.recv().await.unwrap(), [(1, 1)]);

        fixture.lanes.expect();
        let gathered = fixture.submit((1, 2)).await;
        assert!(fixture.batches.try_recv().is_err(), "it gathers at once");
        fixture.proceed.add_permits(2);
        assert_eq!(fixture.batches.recv().await.unwrap(), [(1, 2)]);
        for answer in [rehearsed, gathered] {
            answer.await.unwrap();
        }
    }
}
