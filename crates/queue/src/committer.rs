//! Committing a batch to the database, whatever it takes: collisions are tried again, and a batch
//! with bad data is halved until the culprit stands alone.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use crate::connection::{OwnConnection, answered, answered_within};
use crate::database::Queue;
use crate::error::Cause;
use crate::fault::Fault;
use crate::ids::Shard;
use crate::lanes::{Caller, Committer, Job};
use crate::metrics;
use crate::way::{Session, Way};

/// How often a batch that collided with another transaction is tried in all.
const COLLISION_TRIES: u32 = 4;

/// Longest wait for a rehearsal; the commit waits behind it.
const REHEARSAL_DEADLINE: Duration = Duration::from_secs(1);

/// What is done with the items of a batch in one transaction.
pub(crate) trait BatchWork: Send + Sync + 'static {
    type Item: Send + Sync + 'static;
    type Answer: Send + 'static;
    /// What a commit tells about its items.
    type Receipt: Send + Sync;
    /// Its name in metrics.
    const NAME: &'static str;

    /// A batch touches one shard.
    fn shard(item: &Self::Item) -> Shard;

    /// Octets that the item adds to a batch.
    fn weight(item: &Self::Item) -> usize;

    /// Whether a crash of the server may undo the commit of the item.
    fn is_relaxed(&self, item: &Self::Item) -> bool;

    /// Commits all items, or none.
    fn commit(
        &self,
        session: Session<'_>,
        shard: Shard,
        items: &[Self::Item],
    ) -> impl Future<Output = Result<Self::Receipt, sqlx::Error>> + Send;

    /// Does what a commit does, but for nothing, so that what it needs is at hand when it comes.
    /// Nothing, where nobody tells what is to come.
    fn rehearse(
        &self,
        _session: Session<'_>,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// The answer for an item that was committed at that position of its batch.
    fn accept(&self, item: Self::Item, receipt: &Self::Receipt, position: usize) -> Self::Answer;

    /// The answer for an item that was not committed, or perhaps not.
    fn refuse(&self, item: Self::Item, fault: Fault, cause: &Cause) -> Self::Answer;
}

/// A lane's way to commit: the work, and connections of its own.
pub(crate) struct BatchCommitter<W> {
    work: Arc<W>,
    connection: OwnConnection,
    relaxed: OwnConnection,
}

impl<W: BatchWork> BatchCommitter<W> {
    /// As many as there are lanes, at least one.
    pub(crate) fn several(queue: &Queue, work: W, lanes: usize) -> impl Iterator<Item = Self> {
        let work = Arc::new(work);
        (0..lanes.max(1)).map(move |_| Self {
            work: Arc::clone(&work),
            connection: OwnConnection::new(queue),
            relaxed: OwnConnection::relaxed(queue),
        })
    }

    /// Commits items of one shard, again if they collide with another transaction.
    async fn try_commit(&mut self, items: &[W::Item]) -> Result<W::Receipt, (Fault, Cause)> {
        let own = if items.iter().all(|item| self.work.is_relaxed(item)) {
            &mut self.relaxed
        } else {
            &mut self.connection
        };
        let way = own.way();
        let mut tries = 1;
        loop {
            let connection = match own.get().await {
                Ok(connection) => connection,
                // Nothing was sent yet: whatever went wrong, nothing was changed.
                Err(cause) => return Err((Fault::Unavailable, cause)),
            };
            let began = Instant::now();
            let result = answered(commit(&*self.work, &way, connection, items)).await;
            own.note(&result);
            match result.map_err(|error| (Fault::of(&error), error)) {
                Ok(receipt) => {
                    metrics::committed(W::NAME, items.len(), began.elapsed());
                    return Ok(receipt);
                }
                Err((Fault::Collision, _)) if tries < COLLISION_TRIES => tries += 1,
                Err((fault, error)) => return Err((fault, Arc::new(error))),
            }
        }
    }

    fn refuse_all(
        &self,
        items: Vec<W::Item>,
        callers: Vec<Caller<W::Answer>>,
        fault: Fault,
        cause: &Cause,
    ) {
        metrics::not_committed(W::NAME, fault);
        tracing::warn!(items = items.len(), ?fault, error = %cause, "the queue refused a batch");
        for (item, caller) in items.into_iter().zip(callers) {
            caller.answer(self.work.refuse(item, fault, cause));
        }
    }
}

impl<W: BatchWork> Committer for BatchCommitter<W> {
    type Item = W::Item;
    type Answer = W::Answer;

    fn shard(item: &W::Item) -> Shard {
        W::shard(item)
    }

    fn weight(item: &W::Item) -> usize {
        W::weight(item)
    }

    async fn rehearse(&mut self) {
        // A pooler may give the commit another session than this.
        if !self.connection.is_cold() || !self.connection.way().is_direct() {
            return;
        }
        if let Ok(connection) = self.connection.get().await {
            let rehearsed = self.work.rehearse(Session::new(connection, true));
            let result = answered_within(REHEARSAL_DEADLINE, rehearsed).await;
            self.connection.note(&result);
        }
    }

    async fn commit(&mut self, batch: Vec<Job<W::Item, W::Answer>>) {
        let (items, callers): (Vec<_>, Vec<_>) = batch.into_iter().map(Job::into_parts).unzip();
        let mut batches = vec![(items, callers)];
        while let Some((mut items, mut callers)) = batches.pop() {
            match self.try_commit(&items).await {
                Ok(receipt) => {
                    let each = items.into_iter().zip(callers).enumerate();
                    for (position, (item, caller)) in each {
                        caller.answer(self.work.accept(item, &receipt, position));
                    }
                }
                Err((Fault::Data, _)) if items.len() > 1 => {
                    let middle = items.len() / 2;
                    batches.push((items.split_off(middle), callers.split_off(middle)));
                    batches.push((items, callers));
                }
                Err((fault, cause)) => self.refuse_all(items, callers, fault, &cause),
            }
        }
    }
}

/// Commits items of one shard, in a transaction of the work's own or one around it.
async fn commit<W: BatchWork>(
    work: &W,
    way: &Way,
    connection: &mut PgConnection,
    items: &[W::Item],
) -> Result<W::Receipt, sqlx::Error> {
    let shard = items.first().map_or_else(Shard::random, W::shard);
    if way.is_direct() {
        return work
            .commit(Session::new(connection, true), shard, items)
            .await;
    }
    let mut transaction = way.begin(connection).await?;
    let session = Session::new(&mut transaction, false);
    let receipt = work.commit(session, shard, items).await?;
    transaction.commit().await?;
    Ok(receipt)
}
