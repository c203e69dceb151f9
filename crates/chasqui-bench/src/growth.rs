//! `chasqui-bench growth`: what a message costs Chasqui as its work grows: recipients, queue depth, sessions, relays.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use futures_util::future::try_join_all;

use crate::load::{Backlog, Burst, Sink};
use crate::measure::{CpuTime, Meter, Spread};
use crate::place::{Place, free_address};
use crate::systems::{Chasqui, FAR_USER, Onward, Plan, Programs, System as _};

const SIZE: usize = 4 << 10;
const SESSIONS: usize = 20;
const MESSAGES: usize = 10_000;
const DEADLINE: Duration = Duration::from_secs(600);

#[derive(Debug, Args)]
pub(crate) struct GrowthArguments {
    /// How many rounds for each figure
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The deepest queue, in messages
    #[arg(long, default_value_t = 1_000_000)]
    deepest: usize,
}

/// One line of a table.
#[derive(Debug, Clone, Copy)]
struct Point {
    recipients: usize,
    depth: usize,
    sessions: usize,
    relays: usize,
    messages: usize,
}

const USUAL: Point = Point {
    recipients: 1,
    depth: 0,
    sessions: SESSIONS,
    relays: 1,
    messages: MESSAGES,
};

/// Prints a table for each way in which work grows.
pub(crate) async fn run(arguments: &GrowthArguments, folder: &Path) -> Result<()> {
    let programs = Programs::beside_us()?;
    println!(
        "Relay of messages of 4 KiB from port 25 to another server, profile {}.",
        programs.profile()
    );
    let growth = Growth {
        programs,
        folder,
        rounds: arguments.rounds.max(1),
    };
    let recipients = [(1, MESSAGES), (10, 4_000), (1000, 100)].map(|(recipients, messages)| {
        let point = Point {
            recipients,
            messages,
            ..USUAL
        };
        (recipients, point)
    });
    growth.table("recipients a message", &recipients).await?;
    let depths = [0, 10_000, arguments.deepest].map(|depth| (depth, Point { depth, ..USUAL }));
    growth.table("messages queued already", &depths).await?;
    let sessions = [1, 20, 100, 1000].map(|sessions| (sessions, Point { sessions, ..USUAL }));
    growth.table("sessions", &sessions).await?;
    let relays = [1, 2, 4].map(|relays| (relays, Point { relays, ..USUAL }));
    growth.table("relays", &relays).await
}

struct Growth<'a> {
    programs: Programs,
    folder: &'a Path,
    rounds: usize,
}

impl Growth<'_> {
    async fn table(&self, what: &str, points: &[(usize, Point)]) -> Result<()> {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN).set_header([
            what,
            "messages/s",
            "recipients/s",
            "CPU ms a message",
            "CPU µs a recipient",
        ]);
        for (label, point) in points {
            eprintln!("{label} {what}");
            let rounds = self.measure(*point).await?;
            let tell = |of: &dyn Fn(&Round) -> f64| {
                Spread::of(rounds.iter().map(of)).map_or_else(String::new, |told| told.to_string())
            };
            let recipients = point.recipients as f64;
            table.add_row([
                label.to_string(),
                tell(&|round| round.rate),
                tell(&|round| round.rate * recipients),
                tell(&|round| round.cpu_ms),
                tell(&|round| round.cpu_ms * 1000.0 / recipients),
            ]);
        }
        println!("\n{table}");
        Ok(())
    }

    async fn measure(&self, point: Point) -> Result<Vec<Round>> {
        let place = Place::within(self.folder)?;
        let far_end = free_address()?;
        let mut plan = Plan::new(Onward::To(far_end));
        plan.relays = point.relays;
        let chasqui = Chasqui::start(&self.programs, &place, &plan).await?;
        let backlog = Backlog {
            messages: point.depth,
            size: SIZE as i64,
            domain: "away.test",
            tenant: 0,
            is_deferred: true,
        };
        backlog.insert(&mut chasqui.database().await?).await?;
        // The first one fills caches.
        round(&chasqui, far_end, &place, point).await?;
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            rounds.push(round(&chasqui, far_end, &place, point).await?);
        }
        Ok(rounds)
    }
}

struct Round {
    rate: f64,
    cpu_ms: f64,
}

async fn round(
    chasqui: &Chasqui,
    far_end: SocketAddr,
    place: &Place,
    point: Point,
) -> Result<Round> {
    let sink = Sink::start(far_end, &place.folder("sink")?).await?;
    let sources = chasqui.relays();
    let burst = Burst {
        sessions: point.sessions.div_ceil(sources.len()),
        messages: point.messages / sources.len(),
        size: SIZE,
        recipients: point.recipients,
        reuse: true,
        to: FAR_USER,
    };
    let messages = burst.messages * sources.len();
    let meter = Meter::start(chasqui.roots())?;
    let began = Instant::now();
    let bursts = sources.iter().map(|relay| burst.send(*relay, DEADLINE));
    try_join_all(bursts)
        .await
        .context("not everything was taken")?;
    sink.receives(messages, DEADLINE).await?;
    let rate = messages as f64 / began.elapsed().as_secs_f64();
    let cpu: CpuTime = meter.stop().await?;
    eprintln!("  {rate:>6.0}/s, {}", cpu.tell(messages));
    Ok(Round {
        rate,
        cpu_ms: cpu.ms_a_message(messages),
    })
}
