//! How long a dead relay's leases take to find another holder.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::time::sleep;

use super::database::Database;

/// A takeover that takes so long has failed.
const LONGEST: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(25);

/// Waits until an incarnation that died at `death` has been pronounced dead and has no lease left; says how long that
/// took from its death. None if it held nothing when it died.
pub(super) async fn takeover(
    database: &Database,
    incarnation: i64,
    death: Instant,
) -> Result<Option<Duration>> {
    let mut connection = database.connect().await?;
    let held = format!("SELECT count(*) FROM queue.unit WHERE holder = {incarnation}");
    let live = format!("SELECT count(*) FROM queue.live_incarnation WHERE id = {incarnation}");
    // When the last lease was seen to have gone.
    let mut gone = None;
    loop {
        let alive = number(&mut connection, &live).await? > 0;
        let leases = number(&mut connection, &held).await?;
        if leases > 0 {
            gone = Some(None);
        } else if gone == Some(None) {
            gone = Some(Some(death.elapsed()));
        }
        // As long as it is believed to live, a producer may still lease to it.
        if !alive && leases == 0 {
            return Ok(gone.flatten());
        }
        if death.elapsed() > LONGEST {
            bail!("{leases} leases of a dead relay are still its own after {LONGEST:?}");
        }
        sleep(LOOK).await;
    }
}

async fn number(connection: &mut PgConnection, query: &str) -> Result<i64> {
    let query = AssertSqlSafe(query.to_owned());
    sqlx::query_scalar(query)
        .fetch_one(connection)
        .await
        .context("can't look at leases")
}
