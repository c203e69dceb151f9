//! The connection pool, and statements over it.

use std::str::FromStr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{
    PgArguments, PgConnectOptions, PgPoolOptions, PgQueryResult, PgRow, Postgres,
};
use sqlx::query::Query;
use sqlx::{Executor, FromRow, PgPool, Transaction};
use thiserror::Error;

use crate::migrate::{self, SchemaError};

/// Longest a statement may run; every one here is an indexed look-up or a single change.
const STATEMENT_TIMEOUT: &str = "SET statement_timeout = '5s'";

/// The same, where settings last for a transaction only.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '5s'";

/// Where the directory lives.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:port/database`.
    pub url: SecretString,
    /// Most connections of this process.
    pub max_connections: u32,
    /// How long a caller waits for a free connection before the directory counts as unavailable.
    pub acquire_timeout: Duration,
    /// Whether the way leads through a pooler that gives each transaction another session, such as
    /// PgBouncer in transaction mode. Nothing is kept prepared then, and migrations need another
    /// way.
    pub transaction_pooler: bool,
}

impl DatabaseConfig {
    /// A handful of connections, and 4 s of patience: less than any caller's own deadline.
    #[must_use]
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            max_connections: 8,
            acquire_timeout: Duration::from_secs(4),
            transaction_pooler: false,
        }
    }
}

/// Why there is no directory to work with.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The URL cannot be read. It is not quoted: it may bear a password.
    #[error("the database url is not of the form postgres://user:password@host:port/database")]
    Url,
    /// Nobody answers, or the answer is a refusal.
    #[error("the directory database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// The schema and this binary do not fit.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

pub(crate) fn parse_url(url: &str) -> Result<PgConnectOptions, ConnectError> {
    let is_postgres = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    if !is_postgres {
        return Err(ConnectError::Url);
    }
    // What is wrong with it may quote the password: not told.
    Ok(PgConnectOptions::from_str(url)
        .map_err(|_quoting| ConnectError::Url)?
        .application_name("chasqui-directory"))
}

/// A statement with its parameters.
pub(crate) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// An answer of the database that is still to come.
///
/// Boxed where it is asked for. The code of a bare future is compiled by whoever awaits it, so that
/// each service would compile the whole of the database's driver once more; a boxed one has its
/// code in this crate.
pub(crate) type Answer<'a, T, E = sqlx::Error> = BoxFuture<'a, Result<T, E>>;

/// The connections. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pool: PgPool,
    transaction_pooler: bool,
}

impl Database {
    /// Opens the pool and checks that the schema fits.
    pub(crate) fn connect(config: &DatabaseConfig) -> Answer<'_, Self, ConnectError> {
        Box::pin(async move {
            let mut options = parse_url(config.url.expose_secret())?;
            let mut pool = PgPoolOptions::new()
                .max_connections(config.max_connections)
                .acquire_timeout(config.acquire_timeout);
            if config.transaction_pooler {
                // Without a start-up parameter that poolers don't know.
                options = options.statement_cache_capacity(0).extra_float_digits(None);
            } else {
                pool = pool.after_connect(|connection, _meta| {
                    Box::pin(async move {
                        connection.execute(STATEMENT_TIMEOUT).await?;
                        Ok(())
                    })
                });
            }
            let pool = pool.connect_with(options).await;
            let database = Self {
                pool: pool.map_err(ConnectError::Unreachable)?,
                transaction_pooler: config.transaction_pooler,
            };
            let transaction = database.begin().await;
            let mut transaction = transaction.map_err(ConnectError::Unreachable)?;
            migrate::check(&mut transaction).await?;
            Ok(database)
        })
    }

    /// Closes all connections, once their statements are done.
    pub(crate) fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.pool.close())
    }

    /// The rows of a statement, read.
    pub(crate) async fn fetch_all<T>(&self, statement: Statement<'_>) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let rows = self.rows(statement).await?;
        rows.iter().map(T::from_row).collect()
    }

    /// The row of a statement that always has one.
    pub(crate) async fn fetch_one<T>(&self, statement: Statement<'_>) -> Result<T, sqlx::Error>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let row = self.fetch_optional(statement).await?;
        row.ok_or(sqlx::Error::RowNotFound)
    }

    /// The row of a statement that has one at most.
    pub(crate) async fn fetch_optional<T>(
        &self,
        statement: Statement<'_>,
    ) -> Result<Option<T>, sqlx::Error>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let rows = self.rows(statement).await?;
        rows.first().map(T::from_row).transpose()
    }

    /// Runs a statement without rows; tells how many it changed.
    pub(crate) async fn execute(&self, statement: Statement<'_>) -> Result<u64, sqlx::Error> {
        Ok(self.done(statement).await?.rows_affected())
    }

    /// A transaction, for what takes several statements.
    pub(crate) fn begin(&self) -> Answer<'_, Transaction<'static, Postgres>> {
        Box::pin(async {
            if self.transaction_pooler {
                self.pool.begin_with(BEGIN).await
            } else {
                self.pool.begin().await
            }
        })
    }

    fn rows<'a>(&'a self, statement: Statement<'a>) -> Answer<'a, Vec<PgRow>> {
        Box::pin(async move {
            if !self.transaction_pooler {
                return statement.fetch_all(&self.pool).await;
            }
            let mut transaction = self.begin().await?;
            let statement = statement.persistent(false);
            let rows = statement.fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(rows)
        })
    }

    fn done<'a>(&'a self, statement: Statement<'a>) -> Answer<'a, PgQueryResult> {
        Box::pin(async move {
            if !self.transaction_pooler {
                return statement.execute(&self.pool).await;
            }
            let mut transaction = self.begin().await?;
            let statement = statement.persistent(false);
            let done = statement.execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(done)
        })
    }
}

/// A struct that is read from a row, each field from the column of its name. In place of sqlx's
/// derive, which would have the database's driver compiled once more, for the compiler's own use.
macro_rules! from_row {
    ($(#[$attribute:meta])* $visibility:vis struct $name:ident { $($column:ident: $type:ty,)+ }) => {
        $(#[$attribute])*
        $visibility struct $name { $($column: $type,)+ }

        impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for $name {
            fn from_row(row: &sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
                use sqlx::Row as _;
                Ok(Self { $($column: row.try_get(stringify!($column))?,)+ })
            }
        }
    };
}
pub(crate) use from_row;
