//! `chasqui-bench soak`: a fleet under load, in which something is broken time and again; in the end every message that
//! was accepted must be somewhere.
//!
//! Invariant: what is counted is counted at the receiving ends, and the services are known by their programs, files and
//! sockets alone.

mod book;
mod clients;
mod database;
mod far_end;
mod fault;
mod fleet;
mod injector;
mod letters;
mod links;
mod logs;
mod proxy;
mod random;
mod report;
mod service;
mod takeover;
mod tally;
mod volume;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use book::Book;
use clients::{CLIENTS, Load, PATIENCE};
use database::{Database, DatabaseVolumes};
use far_end::FarEnd;
use fault::{FAULTS, Fault, Pack};
use fleet::{Fleet, mail_folder};
use injector::{Done, Injector, Volumes};
use random::Random;
use report::Report;
use tally::{Arrivals, Tally};
use volume::Volume;

use crate::place::Place;
use crate::systems::Programs;

/// Between two faults, in milliseconds.
const PAUSE: (u64, u64) = (1000, 6000);
/// How long the queue may take to become empty when the load has ended.
const EMPTYING: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(200);
/// Of the volumes, in MiB: as much as a soak of a minute leaves there, and of one that has no end.
const DATA_MIB: (f64, f64) = (192.0, 16.0);
const MAIL_MIB: (f64, f64) = (64.0, 16.0);
const LOG_MIB: u64 = 256;

#[derive(Debug, Args)]
pub(crate) struct SoakArguments {
    /// How long to break things
    #[arg(long, default_value_t = 20.0)]
    minutes: f64,
    /// Makes the same choices again
    #[arg(long)]
    seed: Option<u64>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Only these kinds of faults, by their names in the table
    #[arg(long, value_name = "FAULT", value_delimiter = ',')]
    faults: Vec<String>,
}

/// Soaks a fleet, and prints what became of its mail.
///
/// # Errors
/// When anything was lost, doubled beyond measure or stuck, when the books don't balance, when a takeover took too long,
/// and when the fleet can't be set up.
pub(crate) async fn run(arguments: &SoakArguments, folder: &Path) -> Result<()> {
    ensure!(arguments.minutes > 0.0, "a soak takes some minutes");
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        result = soak(arguments, folder) => result,
        // Dropping the soak ends all servers, as at Ctrl-C.
        _ = terminated.recv() => bail!("terminated"),
    }
}

async fn soak(arguments: &SoakArguments, folder: &Path) -> Result<()> {
    let seed = arguments.seed.unwrap_or_else(some_seed);
    let mut random = Random::new(seed);
    let programs = Programs::beside_us()?;
    let mut kinds = kinds(&arguments.faults)?;
    let place = Place::within(folder)?;
    let folder = place.folder("soak")?;
    let mut notes = vec![format!(
        "profile {}; 2 submission, 2 relay and 2 delivery services as processes; figures count recipients, by the tag in \
         each message at the receiving ends",
        programs.profile()
    )];
    // Dropped after all that lies on them.
    let volumes = match Volumes::mount(&folder, arguments.minutes) {
        Ok(volumes) => Some(volumes),
        Err(error) => {
            let note = format!("no volume was filled: they can't be mounted here ({error:#})");
            eprintln!("{note}");
            notes.push(note);
            kinds.retain(|kind| !kind.needs_volumes());
            None
        }
    };
    notes.push(format!(
        "a client waits {} for a word before it goes elsewhere: so much of an outage may be its own",
        report::seconds(PATIENCE)
    ));
    let database = Database::start(&folder, volumes.as_ref().map(|all| &all.database)).await?;
    notes.push(format!(
        "PostgreSQL {}, fsync = on, synchronous_commit = on, full_page_writes = on",
        database.version()
    ));
    let book = Book::default();
    let far_end = FarEnd::start(book.clone()).await?;
    let mut fleet = Fleet::start(&programs, &folder, database, far_end.address()).await?;
    eprintln!("soaking for {} minutes with seed {seed}", arguments.minutes);
    book.begin(CLIENTS);
    let load = Load::start(&fleet.submissions, &fleet.relays, &mut random, &book)?;
    let injector = Injector {
        fleet: &mut fleet,
        volumes: volumes.as_ref(),
        book: book.clone(),
        random: random.fork(),
        began: Instant::now(),
        done: Done::default(),
    };
    let time = Duration::from_secs_f64(arguments.minutes * 60.0);
    let mut done = injector.work(time, kinds).await?;
    load.stop().await;
    book.close();
    let emptied = queue_empties(&fleet).await?;
    notes.push(format!(
        "the queue was empty {} after the last client had gone",
        emptied.map_or_else(|| "not even".to_owned(), report::seconds)
    ));
    let arrivals = Arrivals::count(&fleet, &far_end).await?;
    let off = "SELECT count(*) FROM queue.balance WHERE difference <> 0";
    let off_balance = fleet.database.number(off).await?;
    fleet.terminate().await?;
    done.complaints.extend(logs::panics(&folder)?);
    let result = conclude(arguments, seed, &book, &arrivals, done, off_balance, notes);
    if result.is_err() {
        let kept = logs::keep(&folder, seed)?;
        eprintln!("the services' logs are kept in {}", kept.display());
    }
    result
}

/// Prints what became of the mail; fails when that was not as it should be.
fn conclude(
    arguments: &SoakArguments,
    seed: u64,
    book: &Book,
    arrivals: &Arrivals,
    done: Done,
    off_balance: i64,
    notes: Vec<String>,
) -> Result<()> {
    let entries = book.lock();
    let report = Report {
        seed,
        tally: Tally::of(&entries, arrivals),
        done,
        entries: &entries,
        off_balance,
        notes,
    };
    report.print(arguments.json)?;
    report.judge()
}

impl Volumes {
    fn mount(folder: &Path, minutes: f64) -> Result<Self> {
        let volumes = folder.join("volumes");
        let mebibytes = |(least, a_minute): (f64, f64)| (least + a_minute * minutes) as u64;
        Ok(Self {
            database: DatabaseVolumes {
                data: Volume::mount(&volumes.join("data"), mebibytes(DATA_MIB))?,
                log: Volume::mount(&volumes.join("log"), LOG_MIB)?,
            },
            mail: Volume::mount(&mail_folder(folder), mebibytes(MAIL_MIB))?,
        })
    }
}

impl Injector<'_> {
    /// Breaks things for so long, and a little longer until the last one is healed.
    async fn work(mut self, time: Duration, kinds: Vec<Fault>) -> Result<Done> {
        let mut pack = Pack::of(kinds);
        self.book.turn_to(book::CALM);
        loop {
            sleep(self.random.between(PAUSE.0, PAUSE.1)).await;
            if self.began.elapsed() >= time {
                return Ok(self.done);
            }
            let fault = pack.deal(&mut self.random).context("no fault to inject")?;
            self.inject(fault).await?;
        }
    }
}

fn kinds(names: &[String]) -> Result<Vec<Fault>> {
    if names.is_empty() {
        return Ok(FAULTS.to_vec());
    }
    let find = |name: &String| match FAULTS.into_iter().find(|fault| fault.name() == name) {
        Some(fault) => Ok(fault),
        None => bail!(
            "there is no fault {name}: they are {}",
            FAULTS.map(Fault::name).join(", ")
        ),
    };
    names.iter().map(find).collect()
}

fn some_seed() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    // Short enough to be typed.
    time.map_or(0, |time| time.as_secs() % 1_000_000)
}

/// Waits until nothing is queued any more; says how long that took, if it came to pass.
async fn queue_empties(fleet: &Fleet) -> Result<Option<Duration>> {
    let began = Instant::now();
    while began.elapsed() < EMPTYING {
        let queued = "SELECT count(*) FROM queue.message";
        if fleet.database.number(queued).await? == 0 {
            return Ok(Some(began.elapsed()));
        }
        sleep(LOOK).await;
    }
    Ok(None)
}
