//! Mail clients: each message in a session of its own, with STARTTLS and a login.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::Bench;
use super::report::{Better, Heading, Report, Sample};
use super::scenario::Scenario;
use super::throughput::ACCEPT;
use crate::load::{Client, Letter, tls_connector};
use crate::measure::{Meter, Quantiles};
use crate::place::free_address;
use crate::systems::{
    Chasqui, FAR_USER, LOCAL_USER, Onward, PASSWORD, Plan, Postfix, PostfixPlan, System,
};

const MESSAGES: usize = 4_000;
const SESSIONS: usize = 20;
const SIZE: usize = 4 << 10;

/// Both systems by turns; mail stays in the queue.
pub(crate) async fn submission(
    bench: &Bench<'_>,
    scenario: &Scenario,
    report: &mut Report,
) -> Result<()> {
    let place = bench.place()?;
    let nobody = free_address()?;
    let chasqui = Chasqui::start(&bench.programs, &place, &Plan::new(Onward::Away(nobody))).await?;
    let plan = PostfixPlan {
        onward: Onward::Away(nobody),
        with_dovecot: true,
    };
    let postfix = Postfix::start(&place, plan).await?;
    report.note(chasqui.durability());
    report.note(postfix.durability());
    report.note(ACCEPT.to_owned());
    report.note(
        "submission: one account; both remember a login that was right (Chasqui: argon2id, a keyed MAC for a minute; \
         Dovecot: SHA512-CRYPT, auth_cache for an hour), so all logins but the first are hits for both"
            .to_owned(),
    );
    let connector = tls_connector()?;
    let messages = bench.messages(MESSAGES);
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for system in [&chasqui as &dyn System, &postfix] {
        round(system, &connector, messages).await?;
    }
    for _ in 0..bench.rounds {
        chasqui.empty(&bench.programs).await?;
        ours.push(round(&chasqui, &connector, messages).await?);
        peer.push(round(&postfix, &connector, messages).await?);
    }
    let heading = Heading {
        scenario: scenario.name.to_owned(),
        unit: "messages/s",
        better: Better::More,
    };
    report.add(heading, ours, peer);
    Ok(())
}

async fn round(system: &dyn System, connector: &TlsConnector, messages: usize) -> Result<Sample> {
    let meter = Meter::start(system.roots())?;
    let next = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    let began = Instant::now();
    for _ in 0..SESSIONS {
        let (next, connector) = (Arc::clone(&next), connector.clone());
        let address = system.submission();
        clients.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let tag = next.fetch_add(1, Ordering::Relaxed);
                if tag >= messages as u64 {
                    return anyhow::Ok(latencies);
                }
                let begin = Instant::now();
                let client = Client::connect(address).await?;
                let mut client = client.start_tls(&connector).await?;
                client.login(LOCAL_USER, PASSWORD).await?;
                let letter = Letter {
                    from: LOCAL_USER,
                    to: &[FAR_USER],
                    tag,
                    size: SIZE,
                };
                client.send(&letter).await?;
                client.quit().await?;
                latencies.push(begin.elapsed());
            }
        });
    }
    let mut latencies = Vec::new();
    while let Some(client) = clients.join_next().await {
        latencies.extend(client??);
    }
    let took = began.elapsed();
    let cpu = meter.stop().await?;
    let latencies = Quantiles::of(latencies);
    let sample = Sample {
        figure: messages as f64 / took.as_secs_f64(),
        cpu_ms: Some(cpu.ms_a_message(messages)),
        p50_ms: latencies.ms(0.5),
        p99_ms: latencies.ms(0.99),
    };
    eprintln!(
        "  {:<8} {:>6.0}/s, {}",
        system.name(),
        sample.figure,
        cpu.tell(messages)
    );
    Ok(sample)
}
