//! Injects faults, one after the other; after each it waits until the fleet is well again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::time::{sleep, timeout};

use super::book::{Book, CALM};
use super::database::{DatabaseVolumes, execute};
use super::fault::Fault;
use super::fleet::Fleet;
use super::links::Link;
use super::proxy::{Moment, Traffic};
use super::random::Random;
use super::service::Role;
use super::takeover::takeover;
use super::volume::Volume;

/// How long a fleet may take to be well after a fault is over.
const HEALING: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(200);
/// How long connections are waited for that are to be cut at some moment.
const SNARES: Duration = Duration::from_secs(10);
/// How often a migration tries for its locks.
const MIGRATION_TRIES: usize = 20;
/// What nobody's heart is beating for is leased to the dead; what is overdue is stuck.
const UNWELL: &str = "
    SELECT (SELECT count(*) FROM queue.unit
            WHERE state = 'leased' AND holder NOT IN (SELECT id FROM queue.live_incarnation))
         + (SELECT count(*) FROM queue.unit
            WHERE state IN ('ready', 'deferred') AND due_at < now() - interval '10 seconds')
         + (SELECT abs(2 - count(*)) FROM queue.live_incarnation)";

/// The volumes that can be filled.
#[derive(Debug)]
pub(super) struct Volumes {
    pub(super) database: DatabaseVolumes,
    pub(super) mail: Volume,
}

/// Who breaks things.
pub(super) struct Injector<'a> {
    pub(super) fleet: &'a mut Fleet,
    pub(super) volumes: Option<&'a Volumes>,
    pub(super) book: Book,
    pub(super) random: Random,
    pub(super) began: Instant,
    pub(super) done: Done,
}

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// How often each fault was injected.
    pub(super) faults: BTreeMap<&'static str, usize>,
    /// How many of them may have left attempts open.
    pub(super) windows: usize,
    /// How long takeovers took.
    pub(super) takeovers: Vec<Duration>,
    /// How long after each fault the fleet was well, at the longest, by kind.
    pub(super) healing: BTreeMap<&'static str, Duration>,
    /// What should not have happened.
    pub(super) complaints: Vec<String>,
}

impl Injector<'_> {
    /// Injects a fault, and heals it.
    pub(super) async fn inject(&mut self, fault: Fault) -> Result<()> {
        let name = fault.name();
        self.book.turn_to(name);
        *self.done.faults.entry(name).or_default() += 1;
        self.done.windows += usize::from(fault.leaves_attempts_open());
        let story = match fault {
            Fault::KillSubmission => self.kill(Role::Submission).await?,
            Fault::KillDelivery => self.kill(Role::Delivery).await?,
            Fault::KillRelay => self.kill_relay().await?,
            Fault::FreezeRelay => self.freeze_relay().await?,
            Fault::KillPostgres => self.kill_postgres().await?,
            Fault::Cut => self.cut().await,
            Fault::Delay => self.hold(Traffic::Held).await,
            Fault::Deafen => self.hold(Traffic::Deaf).await,
            Fault::CutMidContent => self.snare(Moment::MidContent).await,
            Fault::CutBeforeReply => self.snare(Moment::BeforeReply).await,
            Fault::FillData | Fault::FillLog | Fault::FillMail => self.fill(fault).await?,
            Fault::RollingRestart => self.roll().await?,
            Fault::Migration => self.migrate().await?,
        };
        let healed = Instant::now();
        self.say(&format!("{name}: {story}"));
        self.get_well(name, healed).await?;
        self.book.turn_to(CALM);
        Ok(())
    }

    fn say(&self, words: &str) {
        eprintln!("[{:>4} s] {words}", self.began.elapsed().as_secs());
    }

    fn complain(&mut self, words: String) {
        self.say(&format!("!! {words}"));
        self.done.complaints.push(words);
    }

    fn one_of(&mut self, role: Role) -> Result<usize> {
        let places = self.fleet.places_of(role);
        self.random.choose(&places).copied().context("no service")
    }

    async fn kill(&mut self, role: Role) -> Result<String> {
        let place = self.one_of(role)?;
        let away = self.random.between(0, 4000);
        let service = &mut self.fleet.services[place];
        service.kill().await?;
        sleep(away).await;
        service.restart().await?;
        Ok(format!("{}, away for {away:.1?}", service.name))
    }

    async fn kill_relay(&mut self) -> Result<String> {
        let place = self.one_of(Role::Relay)?;
        let away = self.random.between(0, 14_000);
        let incarnation = self
            .fleet
            .incarnation_of(&self.fleet.services[place])
            .await?;
        let death = Instant::now();
        let service = &mut self.fleet.services[place];
        service.kill().await?;
        let restart = async {
            sleep(away).await;
            service.restart().await
        };
        let (taken, restarted) =
            tokio::join!(takeover(&self.fleet.database, incarnation, death), restart);
        restarted?;
        let name = service.name.clone();
        let told = self.note_takeover(&name, taken);
        Ok(format!("{name}, away for {away:.1?}; {told}"))
    }

    async fn freeze_relay(&mut self) -> Result<String> {
        let place = self.one_of(Role::Relay)?;
        let incarnation = self
            .fleet
            .incarnation_of(&self.fleet.services[place])
            .await?;
        let frozen = Instant::now();
        self.fleet.services[place].freeze();
        let taken = takeover(&self.fleet.database, incarnation, frozen).await;
        sleep(self.random.between(0, 5000)).await;
        self.fleet.services[place].thaw();
        let stood = frozen.elapsed();
        let name = self.fleet.services[place].name.clone();
        let told = self.note_takeover(&name, taken);
        Ok(format!("{name}, stood still for {stood:.1?}; {told}"))
    }

    fn note_takeover(&mut self, name: &str, taken: Result<Option<Duration>>) -> String {
        match taken {
            Ok(Some(time)) => {
                self.done.takeovers.push(time);
                format!("taken over after {time:.1?}")
            }
            Ok(None) => "it held nothing".to_owned(),
            Err(error) => {
                self.complain(format!("{name} is not taken over: {error:#}"));
                "not taken over".to_owned()
            }
        }
    }

    async fn kill_postgres(&mut self) -> Result<String> {
        let away = self.random.between(0, 8000);
        self.fleet.database.kill().await?;
        sleep(away).await;
        self.fleet.database.ensure_running().await?;
        Ok(format!("away for {away:.1?}"))
    }

    async fn cut(&mut self) -> String {
        let times = 1 + self.random.below(5);
        let mut cut = Vec::new();
        for _ in 0..times {
            let links = self.fleet.links.all();
            if let Some(link) = self.random.choose(&links) {
                link.proxy.cut();
                cut.push(link.name.clone());
            }
            sleep(self.random.between(0, 500)).await;
        }
        cut.join(", ")
    }

    /// Keeps what is said on a link; the connections that were there are cut in the end, or go on.
    async fn hold(&mut self, traffic: Traffic) -> String {
        let time = self.random.between(1000, 15_000);
        // What was said into the void is never answered.
        let cut = traffic == Traffic::Deaf || self.random.below(2) == 0;
        let links = self.fleet.links.all();
        let Some(link) = self.random.choose(&links) else {
            return String::new();
        };
        link.proxy.set(traffic);
        sleep(time).await;
        if cut {
            link.proxy.cut();
        }
        link.proxy.set(Traffic::Passes);
        let end = if cut { "then cut" } else { "then passed on" };
        format!("{}, for {time:.1?}, {end}", link.name)
    }

    /// Cuts connections at a moment of their next transactions.
    async fn snare(&mut self, moment: Moment) -> String {
        let links: Vec<&Link> = self.fleet.links.of_smtp();
        let wanted = 1 + self.random.below(8);
        for link in &links {
            link.proxy.set_snares(moment, wanted);
        }
        let left = || -> usize { links.iter().map(|link| link.proxy.snares(moment)).sum() };
        let all_sprung = async {
            while left() > 0 {
                sleep(LOOK).await;
            }
        };
        let _ = timeout(SNARES, all_sprung).await;
        let cut = wanted * links.len() - left();
        for link in &links {
            link.proxy.set_snares(moment, 0);
        }
        format!("{cut} transactions on {} links", links.len())
    }

    async fn fill(&mut self, fault: Fault) -> Result<String> {
        let volumes = self.volumes.context("there are no volumes")?;
        let volume = match fault {
            Fault::FillData => &volumes.database.data,
            Fault::FillLog => &volumes.database.log,
            _ => &volumes.mail,
        };
        let time = self.random.between(4000, 12_000);
        volume.fill()?;
        let full = Instant::now();
        let crashed = match fault {
            Fault::FillLog => self.use_up_the_log(time).await,
            _ => false,
        };
        sleep(time.saturating_sub(full.elapsed())).await;
        volume.free()?;
        let story = format!("for {time:.1?}");
        if fault == Fault::FillMail {
            return Ok(story);
        }
        // What was there may have crashed without a word to us.
        let gone = !self.fleet.database.is_running();
        self.fleet.database.ensure_running().await?;
        Ok(match (gone, crashed) {
            (true, _) => format!("{story}; Postgres crashed, did not come up, and was started"),
            (false, true) => format!("{story}; Postgres crashed, and recovered"),
            (false, false) => story,
        })
    }

    /// Writes to the log until there is no segment left; whether Postgres fell over that.
    async fn use_up_the_log(&self, time: Duration) -> bool {
        let began = Instant::now();
        let Ok(mut connection) = self.fleet.database.connect().await else {
            return true;
        };
        while began.elapsed() < time {
            for statement in [
                "SELECT pg_switch_wal()",
                "SELECT pg_logical_emit_message(true, 'soak', 'x')",
            ] {
                if execute(&mut connection, statement).await.is_err() {
                    return true;
                }
            }
        }
        false
    }

    async fn roll(&mut self) -> Result<String> {
        let mut order: Vec<usize> = (0..self.fleet.services.len()).collect();
        self.random.shuffle(&mut order);
        let began = Instant::now();
        for place in order {
            let service = &mut self.fleet.services[place];
            service.terminate().await?;
            service.restart().await?;
        }
        let took = began.elapsed();
        Ok(format!("all services within {took:.1?}"))
    }

    /// What a newer release might bring: a table, columns that may be null, and a higher version.
    async fn migrate(&mut self) -> Result<String> {
        let number = self.done.faults.get(Fault::Migration.name()).copied();
        let version = 900_000 + number.unwrap_or_default();
        let statements = format!(
            "BEGIN;
             SET LOCAL lock_timeout = '500ms';
             CREATE TABLE queue.novelty_{version} (id bigint PRIMARY KEY, what text);
             ALTER TABLE queue.message ADD COLUMN novelty_{version} text;
             ALTER TABLE queue.unit ADD COLUMN novelty_{version} text;
             ALTER TABLE queue.destination ADD COLUMN novelty_{version} text;
             ALTER TABLE queue.incarnation ADD COLUMN novelty_{version} text;
             UPDATE queue.compatibility SET version = {version};
             INSERT INTO queue._migrations (version, description, success, checksum, execution_time)
             VALUES ({version}, 'from the future', true, '', 0);
             COMMIT"
        );
        let mut last = String::new();
        for tries in 1..=MIGRATION_TRIES {
            match self.fleet.database.execute(&statements).await {
                Ok(()) => return Ok(format!("version {version}, try {tries}")),
                Err(error) => last = format!("{error:#}"),
            }
            sleep(LOOK).await;
        }
        bail!("no migration within {MIGRATION_TRIES} tries: {last}")
    }

    /// Waits until the fleet is well: all services run, all clients are content, and nothing in the queue is stuck.
    async fn get_well(&mut self, name: &'static str, healed: Instant) -> Result<()> {
        loop {
            let trouble = self.trouble(healed).await?;
            let took = healed.elapsed();
            let Some(trouble) = trouble else {
                let longest = self.done.healing.entry(name).or_default();
                *longest = took.max(*longest);
                self.say(&format!("  well after {took:.1?}"));
                return Ok(());
            };
            if took > HEALING {
                self.complain(format!("{HEALING:?} after {name}: {trouble}"));
                return Ok(());
            }
            sleep(LOOK).await;
        }
    }

    /// What is not well yet.
    async fn trouble(&mut self, healed: Instant) -> Result<Option<String>> {
        for place in 0..self.fleet.services.len() {
            let service = &mut self.fleet.services[place];
            if !service.is_running() {
                let name = service.name.clone();
                service.restart().await?;
                self.complain(format!("{name} ended by itself"));
            }
        }
        if !self.fleet.database.is_running() {
            // It may have given up only after its log had space again.
            self.say("  Postgres has gone, and is started");
            self.fleet.database.ensure_running().await?;
        }
        if !self.book.all_content_since(healed) {
            return Ok(Some("some client has had no 250 yet".to_owned()));
        }
        let looked = self.fleet.database.number(UNWELL).await;
        Ok(match looked {
            Ok(0) => None,
            Ok(units) => Some(format!("{units} units or relays are not where they belong")),
            Err(error) => Some(format!("{error:#}")),
        })
    }
}
