//! Natural batching: while one commit is in flight, the next one gathers.
//!
//! A few *lanes* take jobs from one bounded queue; each commits what it finds, one shard at a
//! time. Without a timer, a lone job goes at once, and the busier it gets, the larger the batches.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

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
}

/// How much goes into one batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
}

/// The lanes are gone, or died: nothing is committed any more.
#[derive(Debug)]
pub(crate) struct Closed;

/// The way to the lanes. They end when the last clone is dropped and all jobs are answered.
pub(crate) struct Lanes<C: Committer> {
    jobs: mpsc::Sender<Job<C::Item, C::Answer>>,
}

impl<C: Committer> Clone for Lanes<C> {
    fn clone(&self) -> Self {
        Self {
            jobs: self.jobs.clone(),
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
        let waiting = Arc::new(Mutex::new(waiting));
        for committer in committers {
            tokio::spawn(run(committer, Arc::clone(&waiting), limits));
        }
        Self { jobs }
    }

    /// Has an item committed, and waits for the answer.
    pub(crate) async fn submit(&self, item: C::Item) -> Result<C::Answer, Closed> {
        let (caller, answer) = oneshot::channel();
        let job = Job { item, caller };
        self.jobs.send(job).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }
}

type Waiting<Item, Answer> = Mutex<mpsc::Receiver<Job<Item, Answer>>>;

async fn run<C: Committer>(
    mut committer: C,
    waiting: Arc<Waiting<C::Item, C::Answer>>,
    limits: BatchLimits,
) {
    let mut gathered = VecDeque::new();
    while gather(&mut gathered, &waiting, limits.items).await {
        committer
            .commit(take_batch::<C>(&mut gathered, limits))
            .await;
    }
}

/// Takes what waits, up to `most`; if nothing does, waits for the next job. False when there will
/// be none.
async fn gather<Item, Answer>(
    gathered: &mut VecDeque<Job<Item, Answer>>,
    waiting: &Waiting<Item, Answer>,
    most: usize,
) -> bool {
    let mut waiting = if gathered.is_empty() {
        let mut waiting = waiting.lock().await;
        match waiting.recv().await {
            Some(job) => gathered.push_back(job),
            None => return false,
        }
        waiting
    } else {
        // Another lane has the queue to itself only while there is nothing in it.
        match waiting.try_lock() {
            Ok(waiting) => waiting,
            Err(_) => return true,
        }
    };
    while gathered.len() < most {
        match waiting.try_recv() {
            Ok(job) => gathered.push_back(job),
            Err(_) => break,
        }
    }
    true
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

    /// Records its batches; commits each when it is told to.
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
    }

    struct Fixture {
        lanes: Lanes<Recorder>,
        batches: mpsc::UnboundedReceiver<Vec<(u8, usize)>>,
        proceed: Arc<tokio::sync::Semaphore>,
    }

    fn one_lane(limits: BatchLimits) -> Fixture {
        let (sender, batches) = mpsc::unbounded_channel();
        let proceed = Arc::new(tokio::sync::Semaphore::new(0));
        let recorder = Recorder {
            batches: sender,
            proceed: Arc::clone(&proceed),
        };
        Fixture {
            lanes: Lanes::start([recorder], limits, 100),
            batches,
            proceed,
        }
    }

    /// Queues jobs while the first is in flight; returns the batches that follow.
    async fn batches_behind_the_first(
        limits: BatchLimits,
        items: &[(u8, usize)],
    ) -> Vec<Vec<(u8, usize)>> {
        let mut fixture = one_lane(limits);
        let submit = |item| {
            let lanes = fixture.lanes.clone();
            tokio::spawn(async move { lanes.submit(item).await.unwrap() })
        };
        let mut answers = vec![submit((0, 0))];
        assert_eq!(fixture.batches.recv().await.unwrap(), [(0, 0)]);
        for item in items {
            answers.push(submit(*item));
            tokio::task::yield_now().await;
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
}
