//! Statements of operators, which may look at the whole queue and take their time.

use std::time::Duration;

use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::QueryAs;
use sqlx::{FromRow, Transaction};

use crate::connection::{answered, answered_within};
use crate::database::Queue;
use crate::error::QueueError;

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
        let mut transaction = answered(queue.pool().begin()).await?;
        answered(sqlx::query(MORE_TIME).execute(&mut *transaction)).await?;
        Ok(Self(transaction))
    }

    /// For statements that look at every row anyway.
    pub(crate) async fn reading_whole_tables(queue: &Queue) -> Result<Self, QueueError> {
        let mut patient = Self::begin(queue).await?;
        answered(sqlx::query(WHOLE_TABLES).execute(&mut *patient.0)).await?;
        Ok(patient)
    }

    /// Reads rows.
    pub(crate) async fn fetch_all<T>(
        &mut self,
        query: QueryAs<'_, Postgres, T, PgArguments>,
    ) -> Result<Vec<T>, QueueError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        Ok(answered_within(DEADLINE, query.fetch_all(&mut *self.0)).await?)
    }

    /// Makes changes, and commits them.
    pub(crate) async fn change<T>(
        mut self,
        query: QueryAs<'_, Postgres, T, PgArguments>,
    ) -> Result<T, QueueError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let changed = answered_within(DEADLINE, query.fetch_one(&mut *self.0)).await?;
        answered(self.0.commit()).await?;
        Ok(changed)
    }
}
