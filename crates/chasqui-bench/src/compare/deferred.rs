//! Living with a backlog: fresh mail goes through while a million messages wait, at rest and while their destination
//! is down and being probed; and then they are cancelled.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sqlx::PgConnection;

use super::Bench;
use super::latency::follow;
use super::postfix_backlog::PostfixBacklog;
use super::report::{Better, Heading, Report, Sample};
use crate::load::{ArrivalSink, Backlog, Burst, Client, Sink};
use crate::measure::{Meter, Quantiles};
use crate::place::{Place, free_address};
use crate::systems::{Chasqui, FAR_USER, Onward, Plan, System};

/// Where the backlog wants to go.
pub(super) const AWAY: &str = "away.test";
const BACKLOG: usize = 1_000_000;
const PEER_BACKLOG: usize = 50_000;
const SIZE: usize = 4 << 10;
const FRESH: usize = 10_000;
const SESSIONS: usize = 20;
const DEADLINE: Duration = Duration::from_secs(600);
/// Messages whose latency is measured before and while the backlog is cancelled.
const LATENCIES: u64 = 300;

/// Ours with a million, the peer with fifty thousand.
pub(crate) async fn deferred(bench: &Bench<'_>, report: &mut Report) -> Result<()> {
    let messages = bench.messages(BACKLOG);
    let peer_messages = messages.min(PEER_BACKLOG);
    report.note(format!(
        "deferred: a backlog of {messages} messages of 4 KiB at Chasqui, {peer_messages} at Postfix. Shares are of the \
         processor time that a fresh message costs with an empty queue (rates wander too much for this), in a second \
         fleet of Chasqui by turns, and at Postfix before: 100 % means that the backlog costs nothing"
    ));
    let ours = ours(bench, messages, report).await?;
    let peer = PostfixBacklog::measure(bench, peer_messages).await?;
    for (name, ours, peer) in [
        ("fresh relay, backlog idle", ours.idle, peer.idle),
        ("fresh relay, backlog probed", ours.probed, peer.probed),
    ] {
        let heading = Heading {
            scenario: name.to_owned(),
            unit: "% of empty",
            better: Better::More,
        };
        report.add(heading, ours, peer);
    }
    let heading = Heading {
        scenario: "cancel the backlog".to_owned(),
        unit: "messages/s",
        better: Better::More,
    };
    report.add(heading, vec![ours.cancel], vec![peer.cancel]);
    Ok(())
}

/// What a backlog does to fresh mail.
pub(super) struct Effects {
    pub(super) idle: Vec<Sample>,
    pub(super) probed: Vec<Sample>,
    pub(super) cancel: Sample,
}

async fn ours(bench: &Bench<'_>, messages: usize, report: &mut Report) -> Result<Effects> {
    let far_end = free_address()?;
    let mut plan = Plan::new(Onward::To(far_end));
    plan.routes = format!(
        "[[route]]\ndomain = \"{AWAY}\"\nsmart_host = \"{}\"\n",
        free_address()?
    );
    plan.outbound = "suspend_first = \"1s\"\nsuspend_longest = \"1s\"\n".to_owned();
    // A second fleet has no backlog: machines wander by more than what a backlog may cost.
    let (place, empty_place) = (bench.place()?, bench.place()?);
    let chasqui = Chasqui::start(&bench.programs, &place, &plan).await?;
    let empty = Chasqui::start(&bench.programs, &empty_place, &plan).await?;
    let mut turns = Turns {
        rounds: bench.rounds,
        empty: Fresh::of(&empty, far_end, &empty_place).await?,
        laden: Fresh::of(&chasqui, far_end, &place).await?,
    };
    eprintln!("  {messages} messages are put into the queue");
    let backlog = Backlog {
        messages,
        size: SIZE as i64,
        domain: AWAY,
        tenant: 0,
        is_deferred: true,
    };
    backlog.insert(&mut turns.laden.database).await?;
    let idle = turns.take().await?;
    eprintln!("  they are flushed; their destination is found to be down");
    chasqui.queue(&bench.programs, &["flush", "--domain", AWAY])?;
    let probed = turns.take().await?;
    report.note(format!(
        "deferred: Postgres buffers touched a fresh message: {} beside the idle backlog and {} without, {} beside the \
         probed one and {} without",
        buffers(&idle.laden),
        buffers(&idle.empty),
        buffers(&probed.laden),
        buffers(&probed.empty),
    ));
    let cancel = cancel(bench, &chasqui, far_end, messages, report).await?;
    Ok(Effects {
        idle: share(&idle.empty, &idle.laden),
        probed: share(&probed.empty, &probed.laden),
        cancel,
    })
}

/// Each round's processor time a message, as a share of what it was with an empty queue.
pub(super) fn share(empty: &[Cost], with: &[Cost]) -> Vec<Sample> {
    let before = mean(empty, |cost| cost.cpu_ms);
    let sample = |cost: &Cost| Sample {
        figure: before / cost.cpu_ms * 100.0,
        cpu_ms: Some(cost.cpu_ms),
        ..Sample::default()
    };
    with.iter().map(sample).collect()
}

/// What a fresh message cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub(super) cpu_ms: f64,
    /// Postgres buffers touched.
    buffers: f64,
}

impl Cost {
    /// Of a system without Postgres.
    pub(super) fn of_cpu(cpu_ms: f64) -> Self {
        Self {
            cpu_ms,
            buffers: 0.0,
        }
    }
}

fn buffers(costs: &[Cost]) -> String {
    format!("{:.0}", mean(costs, |cost| cost.buffers))
}

fn mean(costs: &[Cost], of: fn(&Cost) -> f64) -> f64 {
    costs.iter().map(of).sum::<f64>() / costs.len() as f64
}

/// The same fresh mail for a fleet without a backlog and for one with it.
struct Turns<'a> {
    rounds: usize,
    empty: Fresh<'a>,
    laden: Fresh<'a>,
}

/// What it cost each of them.
#[derive(Debug, Default)]
struct Costs {
    empty: Vec<Cost>,
    laden: Vec<Cost>,
}

impl Turns<'_> {
    /// The first one doesn't count: it fills caches, and pays for pages that are new to the log since a checkpoint.
    async fn take(&mut self) -> Result<Costs> {
        self.empty.round().await?;
        self.laden.round().await?;
        let mut costs = Costs::default();
        for _ in 0..self.rounds {
            costs.empty.push(self.empty.round().await?);
            costs.laden.push(self.laden.round().await?);
        }
        Ok(costs)
    }
}

/// Fresh mail for a destination that is well.
struct Fresh<'a> {
    system: &'a Chasqui,
    far_end: SocketAddr,
    place: &'a Place,
    database: PgConnection,
}

impl<'a> Fresh<'a> {
    async fn of(system: &'a Chasqui, far_end: SocketAddr, place: &'a Place) -> Result<Self> {
        Ok(Self {
            system,
            far_end,
            place,
            database: system.database().await?,
        })
    }

    async fn round(&mut self) -> Result<Cost> {
        let before = touched(&mut self.database).await?;
        let cpu_ms = relay_fresh(self.system, self.far_end, self.place).await?;
        let touched = touched(&mut self.database).await? - before;
        Ok(Cost {
            cpu_ms,
            buffers: touched as f64 / FRESH as f64,
        })
    }
}

/// Relays fresh mail; says what processor time a message took.
pub(super) async fn relay_fresh(
    system: &dyn System,
    far_end: SocketAddr,
    place: &Place,
) -> Result<f64> {
    let sink = Sink::start(far_end, &place.folder("sink")?).await?;
    let burst = Burst {
        sessions: SESSIONS,
        messages: FRESH,
        size: SIZE,
        recipients: 1,
        reuse: true,
        to: FAR_USER,
    };
    let meter = Meter::start(system.roots())?;
    let began = Instant::now();
    burst.send(system.relay(), DEADLINE).await?;
    sink.receives(FRESH, DEADLINE).await?;
    let rate = FRESH as f64 / began.elapsed().as_secs_f64();
    let cpu = meter.stop().await?;
    eprintln!("  {:<8} {rate:>6.0}/s, {}", system.name(), cpu.tell(FRESH));
    Ok(cpu.ms_a_message(FRESH))
}

async fn touched(database: &mut PgConnection) -> Result<i64> {
    // Sessions tell their counts after a moment.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let query =
        "SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()";
    Ok(sqlx::query_scalar(query).fetch_one(database).await?)
}

/// Cancels the backlog with one command, while fresh mail is watched.
async fn cancel(
    bench: &Bench<'_>,
    chasqui: &Chasqui,
    far_end: SocketAddr,
    messages: usize,
    report: &mut Report,
) -> Result<Sample> {
    let sink = ArrivalSink::start(far_end, Duration::ZERO).await?;
    let mut client = Client::connect(chasqui.relay()).await?;
    let before = latencies(&mut client, &sink, 0..LATENCIES).await?;
    let mut command = tokio::process::Command::from(chasqui.command(&bench.programs));
    let began = Instant::now();
    let mut cancelling = command
        .args(["queue", "cancel", "--domain", AWAY])
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut meanwhile = Vec::new();
    let mut tags = LATENCIES..;
    let status = loop {
        meanwhile.push(latency(&mut client, &sink, tags.next().context("no more tags")?).await?);
        if let Some(status) = cancelling.try_wait()? {
            break status;
        }
    };
    let took = began.elapsed();
    ensure!(status.success(), "chasqui queue cancel failed");
    chasqui
        .cancel(&bench.programs, Some(AWAY), DEADLINE)
        .await?;
    let meanwhile = Quantiles::of(meanwhile);
    report.note(format!(
        "cancel: {messages} messages within {:.1} s; fresh mail from final dot to the far end meanwhile: p50 {:.1}, p99 \
         {:.1} ms; before: p50 {:.1}, p99 {:.1} ms",
        took.as_secs_f64(),
        meanwhile.ms(0.5).unwrap_or_default(),
        meanwhile.ms(0.99).unwrap_or_default(),
        before.ms(0.5).unwrap_or_default(),
        before.ms(0.99).unwrap_or_default(),
    ));
    Ok(Sample {
        figure: messages as f64 / took.as_secs_f64(),
        ..Sample::default()
    })
}

async fn latencies(
    client: &mut Client,
    sink: &ArrivalSink,
    tags: std::ops::Range<u64>,
) -> Result<Quantiles> {
    let mut latencies = Vec::new();
    for tag in tags {
        latencies.push(latency(client, sink, tag).await?);
    }
    Ok(Quantiles::of(latencies))
}

/// From the final dot to the far end.
async fn latency(client: &mut Client, sink: &ArrivalSink, tag: u64) -> Result<Duration> {
    let (taken, arrived) = follow(client, sink, tag, DEADLINE).await?;
    Ok(arrived.saturating_duration_since(taken.dot))
}
