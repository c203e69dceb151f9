//! Memory of idle connections: proportional set size of the servers with and without them.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::Bench;
use super::report::{Better, Heading, Report, Sample};
use crate::load::{Client, tls_connector};
use crate::place::free_address;
use crate::systems::{Chasqui, Onward, Plan, Postfix, PostfixPlan, System};

/// Connections to ours.
const CONNECTIONS: usize = 10_000;
/// Connections to the peer, which has a process for each and limits these.
const PEER_CONNECTIONS: usize = 90;
/// What a process needs besides its connections.
const OTHER_FILES: u64 = 200;

/// Ours with many, the peer with as many as it takes. Each on fresh processes, since memory that was used once is used
/// again; so there is one round.
pub(crate) async fn idle(bench: &Bench<'_>, report: &mut Report) -> Result<()> {
    let connections = affordable(bench.messages(CONNECTIONS), report)?;
    report.note(format!(
        "idle: {connections} connections to Chasqui, {PEER_CONNECTIONS} to Postfix, whose default_process_limit is 100; \
         growth of the servers' PSS"
    ));
    let nobody = free_address()?;
    for tls in [false, true] {
        let place = bench.place()?;
        let chasqui =
            Chasqui::start(&bench.programs, &place, &Plan::new(Onward::Away(nobody))).await?;
        let ours = measure(&chasqui, connections, tls).await?;
        let plan = PostfixPlan {
            onward: Onward::Away(nobody),
            with_dovecot: true,
        };
        let postfix = Postfix::start(&place, plan).await?;
        let peer = measure(&postfix, PEER_CONNECTIONS, tls).await?;
        let way = if tls { "TLS" } else { "plain" };
        let heading = Heading {
            scenario: format!("idle connection, {way}"),
            unit: "KiB",
            better: Better::Less,
        };
        report.add(heading, vec![ours], vec![peer]);
    }
    Ok(())
}

/// As many connections as the limit on open files allows; our children inherit the limit.
fn affordable(wanted: usize, report: &mut Report) -> Result<usize> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let most = usize::try_from(hard.saturating_sub(OTHER_FILES))?;
    if most < wanted {
        report.note(format!(
            "idle: only {most} connections, since the limit on open files is {hard}"
        ));
    }
    Ok(wanted.min(most))
}

async fn measure(system: &dyn System, connections: usize, tls: bool) -> Result<Sample> {
    let address = if tls {
        system.submission()
    } else {
        system.relay()
    };
    let before = memory(system)?;
    let mut holder = Holder::start(&address.to_string(), connections, tls).await?;
    let after = memory(system)?;
    holder.end().await?;
    let kib = after.saturating_sub(before) as f64 / connections as f64;
    eprintln!("  {:<8} {kib:.1} KiB a connection", system.name());
    Ok(Sample {
        figure: kib,
        ..Sample::default()
    })
}

/// KiB of all these processes and their descendants: what is shared is counted in parts (proc(5), `smaps_rollup`).
fn memory(system: &dyn System) -> Result<u64> {
    let mut processes = Vec::new();
    for root in system.roots() {
        processes.extend(root.family()?);
    }
    let pss = |pid: i32| {
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = rollup.lines().find(|line| line.starts_with("Pss:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    Ok(processes.into_iter().filter_map(pss).sum())
}

/// A process of its own that holds connections open, so that its memory and files aren't the servers' or ours.
struct Holder {
    child: Child,
}

impl Holder {
    async fn start(address: &str, connections: usize, tls: bool) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["hold", address, &connections.to_string()])
            .args(tls.then_some("--tls"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut word = String::new();
        let says = child.stdout.take().context("no output")?;
        BufReader::new(says).read_line(&mut word).await?;
        ensure!(word == "held\n", "the connections could not be made");
        Ok(Self { child })
    }

    async fn end(&mut self) -> Result<()> {
        drop(self.child.stdin.take());
        self.child.wait().await?;
        Ok(())
    }
}

/// `chasqui-bench hold`: the holder's own part. Says `held`, and ends with its standard input.
///
/// # Errors
/// When a connection can't be made.
pub(crate) async fn hold(arguments: &HoldArguments) -> Result<()> {
    let connector = tls_connector()?;
    let mut held = Vec::with_capacity(arguments.connections);
    for _ in 0..arguments.connections {
        let client = Client::connect(arguments.address).await?;
        held.push(if arguments.tls {
            client.start_tls(&connector).await?
        } else {
            client
        });
    }
    println!("held");
    // Our owner closes it, whatever becomes of it.
    let end = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tokio::task::spawn_blocking(end).await??;
    Ok(())
}

/// What a holder is told.
#[derive(Debug, clap::Args)]
pub(crate) struct HoldArguments {
    address: std::net::SocketAddr,
    connections: usize,
    #[arg(long)]
    tls: bool,
}
