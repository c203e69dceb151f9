//! `chasqui-bench`: measures Chasqui beside other mail systems on this machine, and tries to break it.
//!
//! All that it starts, it starts for itself, on loopback and in a folder of its own, and ends again. docs/performance.md
//! keeps its figures.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test that can't go on has failed")
)]

mod compare;
mod growth;
mod load;
mod measure;
mod place;
mod soak;
mod steady;
mod storage;
mod systems;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Where files are kept while it runs: a folder on the disk that is to be measured
    #[arg(long, global = true, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios against Chasqui and Postfix by turns, and print the ratios
    Compare(compare::CompareArguments),
    /// Break a fleet under load, time and again, and count what became of its mail
    Soak(soak::SoakArguments),
    /// Show what a message costs as recipients, queue depth, sessions and relays grow
    Growth(growth::GrowthArguments),
    /// Run the same load for long, half of it beside a transaction that is held open
    Steady(steady::SteadyArguments),
    /// Show what layouts of the queue's storage cost
    Storage(storage::StorageArguments),
    /// Hold idle connections to a server (for `compare idle`)
    #[command(hide = true)]
    Hold(compare::HoldArguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chasqui-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let work = async {
        match &arguments.command {
            Command::Compare(compare) => compare::run(compare, &arguments.folder).await,
            Command::Soak(soak) => soak::run(soak, &arguments.folder).await,
            Command::Growth(growth) => growth::run(growth, &arguments.folder).await,
            Command::Steady(steady) => steady::run(steady, &arguments.folder).await,
            Command::Storage(storage) => storage::run(storage, &arguments.folder).await,
            Command::Hold(hold) => compare::hold(hold).await,
        }
    };
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        result = work => result,
        // Dropping the work ends all servers.
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        _ = terminated.recv() => anyhow::bail!("told to end"),
    }
}
