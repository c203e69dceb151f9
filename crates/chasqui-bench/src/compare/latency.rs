//! Light load: one session, a message at a time, and how long each waits.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Bench;
use super::report::{Better, Heading, Report, Sample};
use crate::load::{ArrivalSink, Client, Letter, Taken};
use crate::measure::Quantiles;
use crate::place::free_address;
use crate::systems::{Chasqui, FAR_USER, Onward, Plan, Postfix, PostfixPlan, STRANGER, System};

const MESSAGES: usize = 500;
const SIZE: usize = 4 << 10;
const WARM_UP: u64 = 50;
/// How long a message may be on its way.
const DEADLINE: Duration = Duration::from_secs(30);
/// Between the arrival of a message and the next one.
const PAUSE: Duration = Duration::from_millis(5);

/// Both systems by turns.
pub(crate) async fn latency(bench: &Bench<'_>, report: &mut Report) -> Result<()> {
    let place = bench.place()?;
    let far_end = free_address()?;
    let onward = Onward::To(far_end);
    let sink = ArrivalSink::start(far_end, Duration::ZERO).await?;
    let chasqui = Chasqui::start(&bench.programs, &place, &Plan::new(onward)).await?;
    let plan = PostfixPlan {
        onward,
        with_dovecot: false,
    };
    let postfix = Postfix::start(&place, plan).await?;
    report.note(chasqui.durability());
    report.note(postfix.durability());
    let messages = bench.messages(MESSAGES) as u64;
    let mut tags = 0..;
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for system in [&chasqui as &dyn System, &postfix] {
        round(system, &sink, &mut tags, WARM_UP).await?;
    }
    for _ in 0..bench.rounds {
        ours.push(round(&chasqui, &sink, &mut tags, messages).await?);
        peer.push(round(&postfix, &sink, &mut tags, messages).await?);
    }
    let samples =
        |rounds: &[Latencies], of: fn(&Latencies) -> Sample| rounds.iter().map(of).collect();
    for (name, of) in [
        (
            "latency: final dot to 250",
            accepting as fn(&Latencies) -> Sample,
        ),
        ("latency: 250 to the far end", sending),
    ] {
        let heading = Heading {
            scenario: name.to_owned(),
            unit: "ms (p50)",
            better: Better::Less,
        };
        report.add(heading, samples(&ours, of), samples(&peer, of));
    }
    Ok(())
}

/// The latencies of one round.
struct Latencies {
    accept: Quantiles,
    send: Quantiles,
}

fn accepting(round: &Latencies) -> Sample {
    sample(&round.accept)
}

fn sending(round: &Latencies) -> Sample {
    sample(&round.send)
}

fn sample(quantiles: &Quantiles) -> Sample {
    Sample {
        figure: quantiles.ms(0.5).unwrap_or_default(),
        p50_ms: quantiles.ms(0.5),
        p99_ms: quantiles.ms(0.99),
        cpu_ms: None,
    }
}

async fn round(
    system: &dyn System,
    sink: &ArrivalSink,
    tags: &mut impl Iterator<Item = u64>,
    messages: u64,
) -> Result<Latencies> {
    let mut client = Client::connect(system.relay()).await?;
    let (mut accept, mut send) = (Vec::new(), Vec::new());
    for tag in tags.take(messages as usize) {
        let (taken, arrived) = follow(&mut client, sink, tag, DEADLINE).await?;
        accept.push(taken.acknowledged - taken.dot);
        send.push(arrived.saturating_duration_since(taken.acknowledged));
        tokio::time::sleep(PAUSE).await;
    }
    client.quit().await?;
    let round = Latencies {
        accept: Quantiles::of(accept),
        send: Quantiles::of(send),
    };
    eprintln!(
        "  {:<8} {} messages: 250 after {:.2} ms (p99 {:.2}), sent {:.2} ms later (p99 {:.2})",
        system.name(),
        round.accept.count(),
        round.accept.ms(0.5).unwrap_or_default(),
        round.accept.ms(0.99).unwrap_or_default(),
        round.send.ms(0.5).unwrap_or_default(),
        round.send.ms(0.99).unwrap_or_default(),
    );
    Ok(round)
}

/// Sends a message, and waits until the far end has it: when it was taken, and when it arrived.
pub(super) async fn follow(
    client: &mut Client,
    sink: &ArrivalSink,
    tag: u64,
    deadline: Duration,
) -> Result<(Taken, Instant)> {
    let letter = Letter {
        from: STRANGER,
        to: &[FAR_USER],
        tag,
        size: SIZE,
    };
    let taken = client.send(&letter).await?;
    Ok((taken, sink.arrival(tag, deadline).await?))
}
