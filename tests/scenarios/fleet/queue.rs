//! A look into the database: what is queued, and whether the books balance.

use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use testkit::wait_until;

use super::Fleet;

impl Fleet {
    /// One number out of the database.
    pub(crate) async fn sql(&self, query: &str) -> i64 {
        number(&mut self.database.connect().await, query).await
    }

    /// Runs a statement.
    pub(crate) async fn execute(&self, statement: &str) {
        let mut connection = self.database.connect().await;
        let statement = AssertSqlSafe(statement.to_owned());
        sqlx::raw_sql(statement)
            .execute(&mut connection)
            .await
            .unwrap();
    }

    /// Waits until a query gives this number.
    pub(crate) async fn sql_gives(&self, query: &str, expected: i64) {
        let mut connection = self.database.connect().await;
        wait_until(&format!("{query} to give {expected}"), async || {
            number(&mut connection, query).await == expected
        })
        .await;
    }

    /// Waits until nothing is queued any more.
    pub(crate) async fn queue_is_empty(&self) {
        self.sql_gives("SELECT count(*) FROM queue.message", 0)
            .await;
        for table in ["unit", "content"] {
            let left = self
                .sql(&format!("SELECT count(*) FROM queue.{table}"))
                .await;
            assert_eq!(left, 0, "left in queue.{table}");
        }
    }

    /// How many recipients fared so, by the ledger.
    pub(crate) async fn recipients(&self, event: &str) -> i64 {
        let query = format!("SELECT coalesce(sum({event}), 0)::bigint FROM queue.balance");
        self.sql(&query).await
    }

    /// How many attempts ended so, by the journal.
    pub(crate) async fn attempts(&self, outcome: &str) -> i64 {
        let query = format!(
            "SELECT count(*) FROM queue.attempts WHERE outcome = '{outcome}' AND NOT fenced"
        );
        self.sql(&query).await
    }

    /// Accepted recipients equal those that left and those that are queued.
    pub(crate) async fn assert_books_balance(&self) {
        let off = "SELECT count(*) FROM queue.balance WHERE difference <> 0";
        assert_eq!(self.sql(off).await, 0, "tenants whose books don't balance");
    }

    /// A relay that ends in good order gives back what it holds.
    pub(super) async fn assert_nothing_is_leased(&self) {
        let leased = "SELECT count(*) FROM queue.unit
                      JOIN queue.incarnation AS i ON i.id = holder AND i.ended_at IS NOT NULL";
        assert_eq!(self.sql(leased).await, 0, "leases that nobody gave back");
    }
}

/// One number out of a database.
pub(crate) async fn number(connection: &mut PgConnection, query: &str) -> i64 {
    let row = sqlx::query(AssertSqlSafe(query.to_owned()))
        .fetch_one(connection)
        .await
        .unwrap_or_else(|error| panic!("{query}: {error}"));
    row.get(0)
}
