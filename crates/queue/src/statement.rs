//! Statements over the pool: everything that isn't batched.

use futures_util::future::BoxFuture;
use sqlx::FromRow;
use sqlx::postgres::{PgArguments, PgQueryResult, PgRow, Postgres};
use sqlx::query::Query;

use crate::connection::answered;
use crate::database::Queue;
use crate::error::QueueError;

/// A statement with its parameters.
pub(crate) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// An answer of the database that is still to come.
///
/// Boxed where it is asked for. The code of a bare future is compiled by whoever awaits it, so that
/// each service would compile the whole of the database's driver once more; a boxed one has its
/// code in this crate.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, sqlx::Error>>;

impl Queue {
    /// The rows of a statement, read.
    pub(crate) async fn fetch_all<T>(&self, statement: Statement<'_>) -> Result<Vec<T>, QueueError>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        Ok(read_all(&self.rows(statement).await?)?)
    }

    /// The row of a statement that always has one.
    pub(crate) async fn fetch_one<T>(&self, statement: Statement<'_>) -> Result<T, QueueError>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        Ok(read_one(&self.rows(statement).await?)?)
    }

    /// The row of a statement that has one at most.
    pub(crate) async fn fetch_optional<T>(
        &self,
        statement: Statement<'_>,
    ) -> Result<Option<T>, QueueError>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let rows = self.rows(statement).await?;
        Ok(rows.first().map(T::from_row).transpose()?)
    }

    /// Runs a statement without rows; tells how many it changed.
    pub(crate) async fn execute(&self, statement: Statement<'_>) -> Result<u64, QueueError> {
        Ok(self.done(statement).await?.rows_affected())
    }

    /// The rows of a statement as they come.
    pub(crate) fn rows<'a>(&'a self, statement: Statement<'a>) -> Answer<'a, Vec<PgRow>> {
        Box::pin(answered(async move {
            let mut connection = self.pool().acquire().await?;
            self.way().rows(&mut connection, statement).await
        }))
    }

    fn done<'a>(&'a self, statement: Statement<'a>) -> Answer<'a, PgQueryResult> {
        Box::pin(answered(async move {
            let mut connection = self.pool().acquire().await?;
            self.way().done(&mut connection, statement).await
        }))
    }
}

/// A struct that is read from a row, each field from the column of its name. In place of sqlx's
/// derive, which would have the database's driver compiled once more, for the compiler's own use.
macro_rules! from_row {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$about:meta])* $shown:vis $column:ident: $type:ty,)+
        }
    ) => {
        $(#[$attribute])*
        $visibility struct $name { $($(#[$about])* $shown $column: $type,)+ }

        impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for $name {
            fn from_row(row: &sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
                use sqlx::Row as _;
                Ok(Self { $($column: row.try_get(stringify!($column))?,)+ })
            }
        }
    };
}
pub(crate) use from_row;

pub(crate) fn read_all<T>(rows: &[PgRow]) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, PgRow>,
{
    rows.iter().map(T::from_row).collect()
}

pub(crate) fn read_one<T>(rows: &[PgRow]) -> Result<T, sqlx::Error>
where
    T: for<'r> FromRow<'r, PgRow>,
{
    T::from_row(rows.first().ok_or(sqlx::Error::RowNotFound)?)
}
