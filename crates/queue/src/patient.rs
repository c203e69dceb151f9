//! Statements of operators, which may look at the whole queue and take their time.

use std::time::Duration;

use sqlx::postgres::{PgRow, Postgres};
use sqlx::{FromRow, Transaction};

use crate::connection::{answered, answered_within};
use crate::database::Queue;
use crate::error::QueueError;
use crate::statement::{Answer, Statement, read_all, read_one};

/// For one transaction.
const MORE_TIME: &str = "SELECT set_config('statement_timeout', '120s', true)";

/// For one transaction.
const WHOLE_TABLES: &str = "SELECT set_config('enable_seqscan', 'on', true)";

/// Longer than the `statement_timeout` of [`MORE_TIME`].
const DEADLINE: Duration = Duration::from_secs(125);

/// A transaction for one such statement.
pub(crate) struct Patient(Transaction<'static, Postgres>);

impl Patient {
    pub(crate) async fn begin(queue: &Queue) -> Result<Self, QueueError> {
        Ok(Self(open(queue, &[MORE_TIME]).await?))
    }

    /// For statements that look at every row anyway.
    pub(crate) async fn reading_whole_tables(queue: &Queue) -> Result<Self, QueueError> {
        Ok(Self(open(queue, &[MORE_TIME, WHOLE_TABLES]).await?))
    }

    /// Reads rows.
    pub(crate) async fn fetch_all<T>(
        &mut self,
        statement: Statement<'_>,
    ) -> Result<Vec<T>, QueueError>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        Ok(read_all(&self.rows(statement).await?)?)
    }

    /// Makes changes, and commits them.
    pub(crate) async fn change<T>(mut self, statement: Statement<'_>) -> Result<T, QueueError>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let changed = read_one(&self.rows(statement).await?)?;
        self.commit().await?;
        Ok(changed)
    }

    fn rows<'a>(&'a mut self, statement: Statement<'a>) -> Answer<'a, Vec<PgRow>> {
        // Such a statement comes rarely: it isn't worth keeping, and some poolers forbid it.
        let statement = statement.persistent(false);
        Box::pin(answered_within(DEADLINE, statement.fetch_all(&mut *self.0)))
    }

    fn commit(self) -> Answer<'static, ()> {
        Box::pin(answered(self.0.commit()))
    }
}

fn open<'a>(
    queue: &'a Queue,
    settings: &'a [&'static str],
) -> Answer<'a, Transaction<'static, Postgres>> {
    Box::pin(async move {
        let mut transaction = answered(queue.pool().begin()).await?;
        for setting in settings {
            let setting = sqlx::query(*setting).persistent(false);
            answered(setting.execute(&mut *transaction)).await?;
        }
        Ok(transaction)
    })
}
