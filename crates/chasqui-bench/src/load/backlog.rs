//! Mail that lies in the queue already.

use anyhow::{Context as _, Result};
use sqlx::PgConnection;

const INSERT: &str = include_str!("backlog.sql");
/// Messages of one statement.
const AT_ONCE: usize = 20_000;

/// A backlog to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backlog {
    /// How many.
    pub(crate) messages: usize,
    /// Octets of each.
    pub(crate) size: i64,
    /// For whose recipients.
    pub(crate) domain: &'static str,
    /// Whose mail it is.
    pub(crate) tenant: i64,
    /// Whether it waits for its time, or could go at once.
    pub(crate) is_deferred: bool,
}

impl Backlog {
    /// Puts it into the queue, tells the planner, and leaves a clean sheet: no later measurement pays for it.
    pub(crate) async fn insert(&self, database: &mut PgConnection) -> Result<()> {
        let state = if self.is_deferred {
            "deferred"
        } else {
            "ready"
        };
        let mut left = self.messages;
        while left > 0 {
            let now = left.min(AT_ONCE);
            sqlx::query(INSERT)
                .bind(i32::try_from(now)?)
                .bind(self.size)
                .bind(self.domain)
                .bind(self.tenant)
                .bind(state)
                .execute(&mut *database)
                .await
                .context("the backlog can't be put into the queue")?;
            left -= now;
        }
        for statement in ["VACUUM (ANALYZE)", "CHECKPOINT"] {
            sqlx::query(statement).execute(&mut *database).await?;
        }
        Ok(())
    }
}
