//! A look into the database, over a fresh connection each time: the last one may have died with the server.

use sqlx::AssertSqlSafe;
use testkit::{TestDatabase, wait_until};

use crate::fleet::number;

/// The database of a fleet.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    pub(crate) database: TestDatabase,
}

impl Books {
    /// One number out of the database.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        number(&mut self.database.connect().await, query).await
    }

    /// One text out of the database.
    pub(crate) async fn text(&self, query: &str) -> String {
        let mut connection = self.database.connect().await;
        let query = AssertSqlSafe(query.to_owned());
        sqlx::query_scalar(query)
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    /// Waits until a query gives this number.
    pub(crate) async fn give(&self, query: &str, expected: i64) {
        let mut connection = self.database.connect().await;
        wait_until(&format!("{query} to give {expected}"), async || {
            number(&mut connection, query).await == expected
        })
        .await;
    }

    /// Waits until nothing is queued any more.
    pub(crate) async fn are_empty(&self) {
        self.give("SELECT count(*) FROM queue.message", 0).await;
        for table in ["unit", "content"] {
            let query = format!("SELECT count(*) FROM queue.{table}");
            assert_eq!(self.number(&query).await, 0, "left in queue.{table}");
        }
    }

    /// Accepted recipients equal those that left and those that are queued.
    pub(crate) async fn assert_balance(&self) {
        let off = "SELECT count(*) FROM queue.balance WHERE difference <> 0";
        assert_eq!(self.number(off).await, 0, "the books don't balance");
    }

    /// The live incarnation of a relay.
    pub(crate) async fn incarnation_of(&self, host_name: &str) -> i64 {
        let query =
            format!("SELECT max(id) FROM queue.live_incarnation WHERE node = '{host_name}'");
        self.number(&query).await
    }

    /// How many units an incarnation holds.
    pub(crate) async fn held_by(&self, incarnation: i64) -> i64 {
        self.number(&held_by(incarnation)).await
    }

    /// The messages of which an incarnation holds units, as an SQL array.
    pub(crate) async fn messages_held_by(&self, incarnation: i64) -> String {
        let query = format!(
            "SELECT coalesce(array_agg(DISTINCT message), '{{}}')::text
             FROM queue.unit WHERE holder = {incarnation}"
        );
        self.text(&query).await
    }

    /// Waits until an incarnation holds so many units at least.
    pub(crate) async fn hold_much(&self, incarnation: i64, least: i64) {
        let mut connection = self.database.connect().await;
        wait_until(&format!("{least} leases of {incarnation}"), async || {
            number(&mut connection, &held_by(incarnation)).await >= least
        })
        .await;
    }
}

/// The query for how many units an incarnation holds.
pub(crate) fn held_by(incarnation: i64) -> String {
    format!("SELECT count(*) FROM queue.unit WHERE holder = {incarnation}")
}

/// The query for how many units of some messages, an SQL array of them, are still queued.
pub(crate) fn left_of(messages: &str) -> String {
    format!("SELECT count(*) FROM queue.unit WHERE message = ANY ('{messages}'::uuid[])")
}
