//! What is to be known of the database and the fleet before one trusts them with mail.
//!
//! All of it works on a connection of its own, without what [`Queue::connect`](crate::Queue::connect)
//! demands: a server that isn't durable and a schema that is missing are what an inspection tells.

use std::str::FromStr as _;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{ConnectOptions as _, Connection as _, FromRow};
use time::OffsetDateTime;

use crate::connection::answered_within;
use crate::database::{ConnectError, NEEDED_SCHEMA, PROGRAM};
use crate::statement::{from_row, read_all, read_one};

/// Longest wait for the connection, and for each answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Between two looks at the heartbeats, which are a second apart.
const BETWEEN_LOOKS: Duration = Duration::from_millis(3_200);

/// The database and the fleet, as they are found.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The server.
    pub server: ServerFacts,
    /// Its clock, beside ours.
    pub clock: ClockReading,
    /// The schema of the queue; none where it was never set up.
    pub schema: Option<SchemaFacts>,
    /// The relays that live, or were pronounced dead within a day; the oldest first.
    pub relays: Vec<RelayFacts>,
}

from_row! {
    /// What the server says of itself.
    #[derive(Clone, Debug)]
    pub struct ServerFacts {
        /// Its version, such as `15.18`.
        pub version: String,
        /// The same as a number, such as 150018.
        pub version_number: i32,
        /// Whether commits reach the disk at all.
        pub fsync: String,
        /// What a session without a will of its own gets. Ours set `on`.
        pub synchronous_commit: String,
        /// Whether a page that a crash tore can be mended.
        pub full_page_writes: String,
        /// Whether a page that the disk spoilt is noticed.
        pub data_checksums: String,
        /// Most connections.
        pub max_connections: i32,
        /// Those of them that are not for us.
        pub reserved_connections: i32,
        /// Connections of clients at this moment.
        pub connections: i64,
        /// The replicas that commits wait for.
        pub synchronous_standby_names: String,
        /// Replicas that are attached.
        pub replicas: i64,
        /// Whether it is a replica itself, and takes no mail.
        pub in_recovery: bool,
    }
}

/// How far the server's clock is ahead of ours.
#[derive(Clone, Copy, Debug)]
pub struct ClockReading {
    /// Negative if it is behind.
    pub ahead: time::Duration,
    /// The reading may be off by so much.
    pub uncertainty: time::Duration,
}

/// How old the schema is, and which programs it serves.
#[derive(Clone, Copy, Debug)]
pub struct SchemaFacts {
    /// Its version.
    pub version: i32,
    /// The version that programs of this build need.
    pub needed: i32,
    /// The oldest programs that it serves.
    pub serves_from: i32,
    /// The version of this build.
    pub program: i32,
}

/// A relay that registered.
#[derive(Clone, Debug)]
pub struct RelayFacts {
    /// The number of the incarnation.
    pub incarnation: i64,
    /// Where it takes hand-offs.
    pub address: String,
    /// The name of its machine.
    pub node: String,
    /// The version of its program.
    pub version: String,
    /// When it started.
    pub started_at: OffsetDateTime,
    /// How it is.
    pub life: RelayLife,
}

/// How a relay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayLife {
    /// Its heart beats.
    Beating,
    /// Nobody pronounced it dead yet, but its heart stands still.
    StandsStill,
    /// Another relay pronounced it dead.
    PronouncedDead,
}

const SERVER: &str = "
SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::int AS version_number,
       current_setting('fsync') AS fsync,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('data_checksums') AS data_checksums,
       current_setting('max_connections')::int AS max_connections,
       current_setting('superuser_reserved_connections')::int AS reserved_connections,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
       current_setting('synchronous_standby_names') AS synchronous_standby_names,
       (SELECT count(*) FROM pg_stat_replication) AS replicas,
       pg_is_in_recovery() AS in_recovery
";

const HAS_SCHEMA: &str = "SELECT to_regclass('queue.compatibility') IS NOT NULL";

const SCHEMA: &str = "SELECT version, serves_from FROM queue.compatibility";

const RELAYS: &str = "
SELECT id, address, node, version, started_at, heartbeat, fenced_at IS NOT NULL AS fenced
FROM queue.incarnation
WHERE ended_at IS NULL AND (fenced_at IS NULL OR fenced_at > now() - interval '1 day')
ORDER BY id
";

from_row! {
    struct RelayRow {
        id: i64,
        address: String,
        node: String,
        version: String,
        started_at: OffsetDateTime,
        heartbeat: i64,
        fenced: bool,
    }
}

impl RelayRow {
    /// From this earlier look, and the later one.
    fn into_facts(self, later: &[Self]) -> RelayFacts {
        let later = later.iter().find(|later| later.id == self.id);
        // One that ended in good order meanwhile beat until then.
        let life = match later {
            Some(later) if later.fenced => RelayLife::PronouncedDead,
            Some(later) if later.heartbeat == self.heartbeat => RelayLife::StandsStill,
            _ => RelayLife::Beating,
        };
        RelayFacts {
            incarnation: self.id,
            address: self.address,
            node: self.node,
            version: self.version,
            started_at: self.started_at,
            life,
        }
    }
}

/// Looks at the database and at the fleet's heartbeats, which takes some seconds where there are
/// any. The way may lead through a pooler.
///
/// # Errors
/// [`ConnectError::Url`] and [`ConnectError::Unreachable`].
pub fn inspect(url: &str) -> BoxFuture<'_, Result<Inspection, ConnectError>> {
    // Boxed for the sake of build time, as every `Answer` is.
    Box::pin(async move {
        let options = PgConnectOptions::from_str(url)
            .map_err(ConnectError::Url)?
            .application_name("chasqui doctor")
            .statement_cache_capacity(0)
            // A start-up parameter that poolers don't know.
            .extra_float_digits(None)
            .disable_statement_logging();
        let connection = answered_within(DEADLINE, options.connect()).await;
        let mut connection = connection.map_err(ConnectError::Unreachable)?;
        let inspection = look(&mut connection).await;
        // A goodbye that fails costs nothing.
        let _ = answered_within(DEADLINE, connection.close()).await;
        inspection.map_err(ConnectError::Unreachable)
    })
}

async fn look(connection: &mut PgConnection) -> Result<Inspection, sqlx::Error> {
    let server = read_one(&rows(connection, SERVER).await?)?;
    let clock = read_clock(connection).await?;
    let (has_schema,): (bool,) = read_one(&rows(connection, HAS_SCHEMA).await?)?;
    if !has_schema {
        return Ok(Inspection {
            server,
            clock,
            schema: None,
            relays: Vec::new(),
        });
    }
    let (version, serves_from) = read_one(&rows(connection, SCHEMA).await?)?;
    Ok(Inspection {
        server,
        clock,
        schema: Some(SchemaFacts {
            version,
            needed: NEEDED_SCHEMA,
            serves_from,
            program: PROGRAM,
        }),
        relays: watch(connection).await?,
    })
}

/// Half-way between question and answer, the clocks are compared.
async fn read_clock(connection: &mut PgConnection) -> Result<ClockReading, sqlx::Error> {
    let mut transaction = answered_within(DEADLINE, connection.begin()).await?;
    let began = OffsetDateTime::now_utc();
    let asked = Instant::now();
    let answer = sqlx::query("SELECT clock_timestamp()").fetch_one(&mut *transaction);
    let answer = answered_within(DEADLINE, answer).await?;
    let half = time::Duration::try_from(asked.elapsed() / 2).unwrap_or(time::Duration::MAX);
    let (server,): (OffsetDateTime,) = FromRow::from_row(&answer)?;
    Ok(ClockReading {
        ahead: server - (began + half),
        uncertainty: half,
    })
}

/// Looks at the heartbeats twice.
async fn watch(connection: &mut PgConnection) -> Result<Vec<RelayFacts>, sqlx::Error> {
    let earlier: Vec<RelayRow> = read_all(&rows(connection, RELAYS).await?)?;
    if earlier.iter().any(|relay| !relay.fenced) {
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    let later: Vec<RelayRow> = read_all(&rows(connection, RELAYS).await?)?;
    let facts = earlier.into_iter().map(|relay| relay.into_facts(&later));
    Ok(facts.collect())
}

/// The rows of a statement, in a transaction of its own: some poolers give each another session.
async fn rows(
    connection: &mut PgConnection,
    statement: &'static str,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let reading = async {
        let mut transaction = connection.begin().await?;
        let rows = sqlx::query(statement).fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(rows)
    };
    answered_within(DEADLINE, reading).await
}
