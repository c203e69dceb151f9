//! Fairness by position: a tenant's backlog for a slow destination, and another tenant's fresh message.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Bench;
use super::report::{Better, Heading, Report, Sample};
use crate::load::{ArrivalSink, Backlog, Client, Letter};
use crate::place::free_address;
use crate::systems::{Chasqui, Onward, Plan, STRANGER, System as _};

const BACKLOG: usize = 1_000_000;
const SIZE: usize = 4 << 10;
/// What the slow destination does with each message.
const SLOWNESS: Duration = Duration::from_millis(200);
/// How many of the backlog's messages are seen to go before the first fresh one comes.
const UNDER_WAY: usize = 100;
const FRESH: u64 = 20;
const DEADLINE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(20);
/// As the relay's default is: what may be in flight to one destination.
const CONNECTIONS: usize = 20;

/// Ours alone: the peer knows no tenants.
pub(crate) async fn fairness(bench: &Bench<'_>, report: &mut Report) -> Result<()> {
    let place = bench.place()?;
    let (slow, fast) = (free_address()?, free_address()?);
    let slow_sink = ArrivalSink::start(slow, SLOWNESS).await?;
    let fast_sink = ArrivalSink::start(fast, Duration::ZERO).await?;
    let mut plan = Plan::new(Onward::To(fast));
    plan.routes = format!("[[route]]\ndomain = \"slow.test\"\nsmart_host = \"{slow}\"\n");
    let chasqui = Chasqui::start(&bench.programs, &place, &plan).await?;
    let messages = bench.messages(BACKLOG);
    eprintln!("  {messages} messages of one tenant are put into the queue");
    let backlog = Backlog {
        messages,
        size: SIZE as i64,
        domain: "slow.test",
        tenant: 7,
        is_deferred: false,
    };
    backlog.insert(&mut chasqui.database().await?).await?;
    while slow_sink.count() < UNDER_WAY {
        tokio::time::sleep(LOOK).await;
    }
    report.note(format!(
        "fairness: {messages} messages of one tenant for a destination that takes {} ms for each, {CONNECTIONS} \
         connections; a figure is how many of them the destination received between the 250 of another tenant's fresh \
         message and its arrival",
        SLOWNESS.as_millis()
    ));
    for (name, to, sink) in [
        (
            "fairness: to the same destination",
            "jo@slow.test",
            &slow_sink,
        ),
        (
            "fairness: to another destination",
            "jo@far.test",
            &fast_sink,
        ),
    ] {
        let mut overtaken = Vec::new();
        let mut client = Client::connect(chasqui.relay()).await?;
        for tag in 1..=FRESH {
            let letter = Letter {
                from: STRANGER,
                to: &[to],
                tag,
                size: SIZE,
            };
            client.send(&letter).await?;
            let before = slow_sink.count();
            sink.arrival(tag, DEADLINE).await?;
            overtaken.push(slow_sink.count().saturating_sub(before));
        }
        let most = overtaken.iter().max().copied().unwrap_or_default();
        let heading = Heading {
            scenario: name.to_owned(),
            unit: "messages before it",
            better: Better::Less,
        };
        let samples = overtaken.iter().map(|count| Sample {
            figure: *count as f64,
            ..Sample::default()
        });
        report.add(heading, samples.collect(), Vec::new());
        ensure!(
            most <= CONNECTIONS * 2,
            "{most} messages of the backlog went first: more than was in flight"
        );
    }
    Ok(())
}
