//! The way to the server: direct, or through a pooler that gives each transaction another of its
//! sessions (PgBouncer's transaction mode).
//!
//! Behind such a pooler nothing outlives a transaction: a statement that was prepared, or a
//! setting, may be met by any session or by none. So each statement becomes a transaction of its
//! own, which brings its settings along and is prepared anew; it costs three round trips for one,
//! and its plan.

use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgQueryResult, PgRow, Postgres};
use sqlx::{AssertSqlSafe, Connection as _, Transaction};

use crate::statement::Statement;

/// How connections are opened, and what is to be heeded on them.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// How to open one.
    pub(crate) options: Arc<PgConnectOptions>,
    /// What each transaction begins with; none on the direct way.
    prologue: Option<Arc<str>>,
}

impl Way {
    /// To the server itself, or a pooler that keeps sessions: those are set up once.
    pub(crate) fn direct(options: PgConnectOptions, settings: &[(&str, &str)]) -> Self {
        Self {
            options: Arc::new(options.options(settings.iter().copied())),
            prologue: None,
        }
    }

    /// Through a pooler, with transactions that are set up one by one.
    pub(crate) fn by_transactions(options: PgConnectOptions, settings: &[(&str, &str)]) -> Self {
        let options = options
            .statement_cache_capacity(0)
            // A start-up parameter that poolers don't know.
            .extra_float_digits(None);
        let set = settings
            .iter()
            .map(|(name, value)| format!("; SET LOCAL {name} = '{value}'"));
        Self {
            options: Arc::new(options),
            prologue: Some(format!("BEGIN{}", set.collect::<String>()).into()),
        }
    }

    /// Whether what was prepared on a connection can be used again.
    pub(crate) fn is_direct(&self) -> bool {
        self.prologue.is_none()
    }

    /// Runs one statement.
    pub(crate) async fn rows(
        &self,
        connection: &mut PgConnection,
        statement: Statement<'_>,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        if self.is_direct() {
            return statement.fetch_all(connection).await;
        }
        let mut transaction = self.begin(connection).await?;
        let statement = statement.persistent(false);
        let rows = statement.fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(rows)
    }

    /// Runs one statement without rows.
    pub(crate) async fn done(
        &self,
        connection: &mut PgConnection,
        statement: Statement<'_>,
    ) -> Result<PgQueryResult, sqlx::Error> {
        if self.is_direct() {
            return statement.execute(connection).await;
        }
        let mut transaction = self.begin(connection).await?;
        let statement = statement.persistent(false);
        let done = statement.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(done)
    }

    /// A transaction with our settings.
    pub(crate) async fn begin<'c>(
        &self,
        connection: &'c mut PgConnection,
    ) -> Result<Transaction<'c, Postgres>, sqlx::Error> {
        match &self.prologue {
            None => connection.begin().await,
            // Made of our own settings only.
            Some(prologue) => {
                let begin = AssertSqlSafe(Arc::clone(prologue));
                connection.begin_with(begin).await
            }
        }
    }
}

/// A connection on which a batch is committed.
pub(crate) struct Session<'c> {
    pub(crate) connection: &'c mut PgConnection,
    /// Whether it keeps prepared statements for the next batch.
    pub(crate) keeps: bool,
}

impl<'c> Session<'c> {
    pub(crate) fn new(connection: &'c mut PgConnection, keeps: bool) -> Self {
        Self { connection, keeps }
    }
}
