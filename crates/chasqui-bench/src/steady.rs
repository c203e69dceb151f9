//! `chasqui-bench steady`: the same load for a long time, and for its second half beside a transaction that is held open,
//! which keeps Postgres from cleaning up behind the queue (the xmin trap).

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use sqlx::{Executor as _, PgConnection};

use crate::load::{Burst, Sink};
use crate::measure::Meter;
use crate::place::{Place, free_address};
use crate::systems::{Chasqui, FAR_USER, Onward, Plan, Programs, System as _};

const SIZE: usize = 4 << 10;
const SESSIONS: usize = 20;
/// A minute's mail comes in bursts of so many.
const BURST: usize = 5_000;
const MINUTE: Duration = Duration::from_secs(60);
const DEADLINE: Duration = Duration::from_secs(300);
/// In the second half no minute may cost more than so many times what the first half's did.
const COLLAPSE: f64 = 3.0;

#[derive(Debug, Args)]
pub(crate) struct SteadyArguments {
    /// How long in all
    #[arg(long, default_value_t = 30)]
    minutes: usize,
    /// Where each minute is written down, a line of JSON each; a run that was cut off goes on after the last one
    #[arg(long)]
    record: Option<PathBuf>,
}

/// What a minute was like.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Minute {
    minute: usize,
    /// Whether a transaction was held open.
    held: bool,
    messages: usize,
    messages_per_second: f64,
    cpu_ms_a_message: f64,
    /// Size of the queue's tables and indexes.
    tables_mib: f64,
    dead_rows: i64,
}

/// Runs it, minute by minute.
///
/// # Errors
/// When mail is missing, or the second half collapses.
pub(crate) async fn run(arguments: &SteadyArguments, folder: &Path) -> Result<()> {
    let mut minutes = recorded(arguments.record.as_deref())?;
    let programs = Programs::beside_us()?;
    let place = Place::within(folder)?;
    let far_end = free_address()?;
    let chasqui = Chasqui::start(&programs, &place, &Plan::new(Onward::To(far_end))).await?;
    let sink = Sink::start(far_end, &place.folder("sink")?).await?;
    let mut holder = chasqui.database().await?;
    let mut watcher = chasqui.database().await?;
    let (mut is_held, mut sent) = (false, 0);
    println!("minute  held   messages/s  CPU ms/message  tables MiB  dead rows");
    minutes.iter().for_each(print);
    while minutes.len() < arguments.minutes {
        let number = minutes.len() + 1;
        if number > arguments.minutes / 2 && !is_held {
            hold(&mut holder).await?;
            is_held = true;
        }
        let mut minute = minute(&chasqui, &sink, &mut sent).await?;
        minute.minute = number;
        minute.held = is_held;
        look(&mut watcher, &mut minute).await?;
        print(&minute);
        record(arguments.record.as_deref(), &minute)?;
        minutes.push(minute);
    }
    judge(&minutes)
}

/// A snapshot that stays: whatever is deleted from now on can't be cleaned up.
async fn hold(connection: &mut PgConnection) -> Result<()> {
    connection
        .execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        .await?;
    connection
        .execute("SELECT count(*) FROM queue.unit")
        .await?;
    Ok(())
}

async fn minute(chasqui: &Chasqui, sink: &Sink, sent: &mut usize) -> Result<Minute> {
    let meter = Meter::start(chasqui.roots())?;
    let began = Instant::now();
    let mut messages = 0;
    while began.elapsed() < MINUTE {
        let burst = Burst {
            sessions: SESSIONS,
            messages: BURST,
            size: SIZE,
            recipients: 1,
            reuse: true,
            to: FAR_USER,
        };
        burst.send(chasqui.relay(), DEADLINE).await?;
        messages += BURST;
        *sent += BURST;
        sink.receives(*sent, DEADLINE).await?;
    }
    let rate = messages as f64 / began.elapsed().as_secs_f64();
    let cpu = meter.stop().await?;
    Ok(Minute {
        minute: 0,
        held: false,
        messages,
        messages_per_second: rate,
        cpu_ms_a_message: cpu.ms_a_message(messages),
        tables_mib: 0.0,
        dead_rows: 0,
    })
}

/// How large the tables are by now.
async fn look(watcher: &mut PgConnection, minute: &mut Minute) -> Result<()> {
    let query = "SELECT sum(pg_total_relation_size(relid))::bigint, sum(n_dead_tup)::bigint
                 FROM pg_stat_user_tables WHERE schemaname = 'queue'";
    let (octets, dead): (i64, i64) = sqlx::query_as(query).fetch_one(watcher).await?;
    minute.tables_mib = octets as f64 / f64::from(1 << 20);
    minute.dead_rows = dead;
    Ok(())
}

fn print(minute: &Minute) {
    println!(
        "{:>6}  {:<5}  {:>10.0}  {:>14.3}  {:>10.0}  {:>9}",
        minute.minute,
        minute.held,
        minute.messages_per_second,
        minute.cpu_ms_a_message,
        minute.tables_mib,
        minute.dead_rows
    );
}

fn judge(minutes: &[Minute]) -> Result<()> {
    let free = minutes.iter().filter(|minute| !minute.held);
    let usual = free
        .clone()
        .map(|minute| minute.cpu_ms_a_message)
        .sum::<f64>()
        / free.count().max(1) as f64;
    let worst = minutes
        .iter()
        .map(|minute| minute.cpu_ms_a_message)
        .fold(0.0, f64::max);
    println!("a message cost {usual:.3} ms CPU in the first half, {worst:.3} in the worst minute");
    ensure!(
        worst <= usual * COLLAPSE,
        "it collapsed: the worst minute cost {:.1} times the usual",
        worst / usual
    );
    Ok(())
}

fn recorded(file: Option<&Path>) -> Result<Vec<Minute>> {
    let Some(file) = file.filter(|file| file.exists()) else {
        return Ok(Vec::new());
    };
    let text = std::fs::read_to_string(file)?;
    let minute = |line: &str| {
        serde_json::from_str(line).with_context(|| format!("{} is no record", file.display()))
    };
    text.lines().map(minute).collect()
}

fn record(file: Option<&Path>, minute: &Minute) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let mut file = File::options().create(true).append(true).open(file)?;
    writeln!(file, "{}", serde_json::to_string(minute)?)?;
    Ok(())
}
