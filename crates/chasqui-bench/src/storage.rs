//! `chasqui-bench storage`: what layouts of a message and its content cost Postgres, from insertion to deletion.
//!
//! The tables are cut down to what the question is about: a message's row with its key and an envelope, and the content.

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use private_postgres::{PrivatePostgres, PrivatePostgresConfig};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::measure::{Meter, Root, Spread};
use crate::place::Place;

/// Messages of one transaction, as at 20 callers.
const BATCH: usize = 8;
/// Batches that are in the queue at a time, so that deletion meets pages that others were written to meanwhile.
const STANDING: usize = 50;

#[derive(Debug, Args)]
pub(crate) struct StorageArguments {
    /// Messages of a round
    #[arg(long, default_value_t = 20_000)]
    messages: usize,
    /// Octets of each
    #[arg(long, default_value_t = 4096)]
    size: usize,
    /// How many rounds for each layout
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// A way to keep messages.
struct Layout {
    name: &'static str,
    tables: &'static str,
    insert: &'static str,
    /// Removes batch `$1`.
    remove: &'static str,
}

const APART: &str = "WITH m AS (INSERT INTO message (id, batch, envelope) SELECT unnest($2::text[])::uuid, $1, repeat('e', 200))
     INSERT INTO content (id, batch, data) SELECT unnest($2::text[])::uuid, $1, convert_to($3, 'UTF8')";
const REMOVE_APART: &str =
    "WITH m AS (DELETE FROM message WHERE id = ANY ($2::text[]::uuid[])), b AS (SELECT $1::int)
     DELETE FROM content WHERE id = ANY ($2::text[]::uuid[])";

const LAYOUTS: &[Layout] = &[
    Layout {
        name: "apart, one piece up to a page",
        tables: "CREATE TABLE message (id uuid PRIMARY KEY, batch int, envelope text) WITH (fillfactor = 95);
             CREATE TABLE content (id uuid PRIMARY KEY, batch int, data bytea) WITH (toast_tuple_target = 8160);
             ALTER TABLE content ALTER COLUMN data SET STORAGE EXTERNAL",
        insert: APART,
        remove: REMOVE_APART,
    },
    Layout {
        name: "apart, TOAST of 2 KiB pieces",
        tables: "CREATE TABLE message (id uuid PRIMARY KEY, batch int, envelope text) WITH (fillfactor = 95);
             CREATE TABLE content (id uuid PRIMARY KEY, batch int, data bytea);
             ALTER TABLE content ALTER COLUMN data SET STORAGE EXTERNAL",
        insert: APART,
        remove: REMOVE_APART,
    },
    Layout {
        name: "apart, compressed by lz4",
        tables: "CREATE TABLE message (id uuid PRIMARY KEY, batch int, envelope text) WITH (fillfactor = 95);
             CREATE TABLE content (id uuid PRIMARY KEY, batch int, data bytea COMPRESSION lz4)",
        insert: APART,
        remove: REMOVE_APART,
    },
    Layout {
        name: "apart, fillfactor 70",
        tables: "CREATE TABLE message (id uuid PRIMARY KEY, batch int, envelope text) WITH (fillfactor = 70);
             CREATE TABLE content (id uuid PRIMARY KEY, batch int, data bytea) WITH (toast_tuple_target = 8160, fillfactor = 70);
             ALTER TABLE content ALTER COLUMN data SET STORAGE EXTERNAL",
        insert: APART,
        remove: REMOVE_APART,
    },
    Layout {
        name: "in the message's row (as chosen for sole units)",
        tables: "CREATE TABLE message (id uuid PRIMARY KEY, batch int, envelope text, data bytea) WITH (toast_tuple_target = 8160);
             ALTER TABLE message ALTER COLUMN data SET STORAGE EXTERNAL",
        insert: "INSERT INTO message (id, batch, envelope, data)
             SELECT unnest($2::text[])::uuid, $1, repeat('e', 200), convert_to($3, 'UTF8')",
        remove: "WITH b AS (SELECT $1::int) DELETE FROM message WHERE id = ANY ($2::text[]::uuid[])",
    },
    Layout {
        name: "apart, content never deleted but truncated away (partitions)",
        tables: "CREATE TABLE message (id uuid PRIMARY KEY, batch int, envelope text) WITH (fillfactor = 95);
             CREATE TABLE content (id uuid PRIMARY KEY, batch int, data bytea) WITH (toast_tuple_target = 8160);
             ALTER TABLE content ALTER COLUMN data SET STORAGE EXTERNAL",
        insert: APART,
        remove: "WITH b AS (SELECT $1::int) DELETE FROM message WHERE id = ANY ($2::text[]::uuid[])",
    },
];

/// What a round came to, a message.
struct Round {
    cpu_us: f64,
    wal: f64,
    buffers: f64,
}

/// Measures all layouts by turns, and prints a table.
pub(crate) async fn run(arguments: &StorageArguments, folder: &Path) -> Result<()> {
    let place = Place::within(folder)?;
    let state = place.folder("storage")?;
    let config = PrivatePostgresConfig::kept_in(state).setting("autovacuum_naptime", "5s");
    let started = tokio::task::spawn_blocking(|| PrivatePostgres::start(config, |_| {})).await?;
    let postgres = started.context("can't start a private Postgres")?;
    let root = Root::new("Postgres", postgres.postmaster().context("no Postgres")?);
    let mut rounds: Vec<Vec<Round>> = LAYOUTS.iter().map(|_| Vec::new()).collect();
    for number in 1..=arguments.rounds.max(1) {
        for (layout, rounds) in LAYOUTS.iter().zip(&mut rounds) {
            eprintln!("round {number}: {}", layout.name);
            let mut session = PgConnection::connect(&postgres.url()).await?;
            rounds.push(measure(layout, &mut session, &root, arguments).await?);
            session.close().await?;
        }
    }
    println!(
        "{} octets a message, {BATCH} in a transaction, synchronous_commit = on, PostgreSQL {}",
        arguments.size,
        postgres.version()
    );
    print(&rounds);
    Ok(())
}

async fn measure(
    layout: &Layout,
    session: &mut PgConnection,
    root: &Root,
    arguments: &StorageArguments,
) -> Result<Round> {
    let fresh =
        "DROP SCHEMA IF EXISTS layout CASCADE; CREATE SCHEMA layout; SET search_path = layout";
    session.execute(fresh).await?;
    session.execute(layout.tables).await?;
    session.execute("CHECKPOINT").await?;
    // Text that doesn't compress to nothing: hexadecimal digits of hashes.
    let content: String = sqlx::query_scalar(
        "SELECT left(string_agg(md5(n::text), ''), $1) FROM generate_series(1, $1) AS n",
    )
    .bind(i32::try_from(arguments.size)?)
    .fetch_one(&mut *session)
    .await?;
    let before = counters(session).await?;
    let meter = Meter::start(vec![root.clone()])?;
    let mut standing = std::collections::VecDeque::new();
    for batch in 0..arguments.messages / BATCH {
        let ids = new_ids(session).await?;
        run_statement(session, layout.insert, batch, &ids, Some(&content)).await?;
        standing.push_back((batch, ids));
        if standing.len() > STANDING
            && let Some((batch, ids)) = standing.pop_front()
        {
            run_statement(session, layout.remove, batch, &ids, None).await?;
        }
    }
    let messages = arguments.messages as f64;
    let cpu_us = meter.stop().await?.ms_a_message(arguments.messages) * 1000.0;
    let after = counters(session).await?;
    Ok(Round {
        cpu_us,
        wal: (after.0 - before.0) / messages,
        buffers: (after.1 - before.1) / messages,
    })
}

/// Names that grow with time, as queue ids do.
async fn new_ids(session: &mut PgConnection) -> Result<Vec<String>> {
    let query = "SELECT overlay(gen_random_uuid()::text
                     PLACING lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 8, '0') FROM 1 FOR 8)
                 FROM generate_series(1, $1)";
    let query = sqlx::query_scalar(query).bind(i32::try_from(BATCH)?);
    Ok(query.fetch_all(session).await?)
}

async fn run_statement(
    session: &mut PgConnection,
    statement: &'static str,
    batch: usize,
    ids: &[String],
    content: Option<&str>,
) -> Result<()> {
    let query = sqlx::query(AssertSqlSafe(statement))
        .bind(i32::try_from(batch)?)
        .bind(ids);
    let query = match content {
        Some(content) => query.bind(content),
        None => query,
    };
    query.execute(session).await?;
    Ok(())
}

/// Octets of log, and buffers touched.
async fn counters(session: &mut PgConnection) -> Result<(f64, f64)> {
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let query = "SELECT (pg_current_wal_lsn() - '0/0')::float8, (blks_hit + blks_read)::float8
                 FROM pg_stat_database WHERE datname = current_database()";
    Ok(sqlx::query_as(query).fetch_one(session).await?)
}

fn print(rounds: &[Vec<Round>]) {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header([
        "layout",
        "Postgres CPU µs a message",
        "log, octets a message",
        "buffers a message",
    ]);
    for (layout, rounds) in LAYOUTS.iter().zip(rounds) {
        let tell = |of: fn(&Round) -> f64| {
            Spread::of(rounds.iter().map(of)).map_or_else(String::new, |told| told.to_string())
        };
        table.add_row([
            layout.name.to_owned(),
            tell(|round| round.cpu_us),
            tell(|round| round.wal),
            tell(|round| round.buffers),
        ]);
    }
    println!("{table}");
}
