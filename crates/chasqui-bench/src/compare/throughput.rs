//! Rates: so many messages as fast as they go, until the last one is where it should be.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::Bench;
use super::report::{Better, Heading, Report, Sample};
use super::scenario::Scenario;
use crate::load::{Burst, Sink, count_mail, mail_arrives};
use crate::measure::Meter;
use crate::place::{Place, free_address};
use crate::systems::{Chasqui, FAR_USER, LOCAL_USER, Onward, Plan, Postfix, PostfixPlan, System};

/// How long a round may take.
const DEADLINE: Duration = Duration::from_secs(600);
/// Messages before those that count, where none stay: pools, caches and processes come into being.
const WARM_UP: usize = 200;
/// What is compared when mail is only accepted.
pub(super) const ACCEPT: &str = "accept and submission: the next hop is away. Chasqui has suspended the destination, so that \
    nothing is tried; Postfix puts the mail on hold, so that its queue manager never sees it. A full round goes before \
    those that count. Chasqui's queue is emptied between rounds, so that mail goes where earlier mail was, as in a server \
    that has run for a while. Postfix's is not: it would only be slower for a while, at least on ext4";

/// How far mail goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    /// Into the queue, where it stays.
    Accept,
    /// To another server.
    Relay,
    /// Into a mailbox.
    Maildir,
}

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Throughput {
    pub(crate) path: Path,
    /// Octets of a message.
    pub(crate) size: usize,
    /// Whether connections are reused.
    pub(crate) reuse: bool,
    /// Messages of a round.
    pub(crate) messages: usize,
    /// Sessions at a time.
    pub(crate) sessions: usize,
}

impl Throughput {
    fn burst(&self, messages: usize) -> Burst {
        Burst {
            sessions: self.sessions,
            messages,
            size: self.size,
            recipients: 1,
            reuse: self.reuse,
            to: match self.path {
                Path::Accept | Path::Relay => FAR_USER,
                Path::Maildir => LOCAL_USER,
            },
        }
    }
}

/// Both systems by turns.
pub(crate) async fn throughput(
    bench: &Bench<'_>,
    scenario: &Scenario,
    work: Throughput,
    report: &mut Report,
) -> Result<()> {
    let place = bench.place()?;
    let round = Round {
        work,
        messages: bench.messages(work.messages),
        far_end: free_address()?,
        place: &place,
    };
    let onward = match work.path {
        Path::Accept => Onward::Away(round.far_end),
        Path::Relay | Path::Maildir => Onward::To(round.far_end),
    };
    let chasqui = Chasqui::start(&bench.programs, &place, &Plan::new(onward)).await?;
    let plan = PostfixPlan {
        onward,
        with_dovecot: work.path == Path::Maildir,
    };
    let postfix = Postfix::start(&place, plan).await?;
    report.note(chasqui.durability());
    report.note(postfix.durability());
    if work.path == Path::Accept {
        report.note(ACCEPT.to_owned());
    }
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    round.warm_up(&chasqui).await?;
    round.warm_up(&postfix).await?;
    for _ in 0..bench.rounds {
        if work.path == Path::Accept {
            chasqui.empty(&bench.programs).await?;
        }
        ours.push(round.measure(&chasqui).await?);
        peer.push(round.measure(&postfix).await?);
    }
    let heading = Heading {
        scenario: scenario.name.to_owned(),
        unit: "messages/s",
        better: Better::More,
    };
    report.add(heading, ours, peer);
    Ok(())
}

struct Round<'a> {
    work: Throughput,
    messages: usize,
    far_end: SocketAddr,
    place: &'a Place,
}

impl Round<'_> {
    async fn warm_up(&self, system: &dyn System) -> Result<()> {
        let messages = match self.work.path {
            Path::Accept => self.messages,
            Path::Relay | Path::Maildir => WARM_UP.min(self.messages),
        };
        self.send(system, messages).await.map(drop)
    }

    async fn measure(&self, system: &dyn System) -> Result<Sample> {
        let meter = Meter::start(system.roots())?;
        let took = self.send(system, self.messages).await?;
        let cpu = meter.stop().await?;
        let sample = Sample {
            figure: self.messages as f64 / took.as_secs_f64(),
            cpu_ms: Some(cpu.ms_a_message(self.messages)),
            ..Sample::default()
        };
        eprintln!(
            "  {:<8} {:>6.0}/s, {}",
            system.name(),
            sample.figure,
            cpu.tell(self.messages)
        );
        Ok(sample)
    }

    /// Sends, and waits until all of it is where it should be.
    async fn send(&self, system: &dyn System, messages: usize) -> Result<Duration> {
        let burst = self.work.burst(messages);
        let accepted = async || {
            let sent = burst.send(system.relay(), DEADLINE).await;
            sent.with_context(|| format!("{} did not take everything", system.name()))
        };
        match self.work.path {
            Path::Accept => accepted().await,
            Path::Relay => {
                let folder = self.place.folder("sink")?;
                let sink = Sink::start(self.far_end, &folder).await?;
                let began = Instant::now();
                accepted().await?;
                sink.receives(messages, DEADLINE).await?;
                let took = began.elapsed();
                let received = sink.received()?;
                ensure!(
                    received == messages,
                    "{received} arrived of {messages} sent"
                );
                Ok(took)
            }
            Path::Maildir => {
                let mailbox = system.mailbox();
                let before = count_mail(&mailbox);
                let began = Instant::now();
                accepted().await?;
                mail_arrives(&mailbox, before + messages, DEADLINE).await?;
                Ok(began.elapsed())
            }
        }
    }
}
