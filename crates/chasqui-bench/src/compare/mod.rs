//! `chasqui-bench compare`: the same work for Chasqui and for Postfix, by turns, in one run.

mod deferred;
mod fairness;
mod idle;
mod latency;
mod postfix_backlog;
mod report;
mod scenario;
mod submission;
mod throughput;

use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;

pub(crate) use idle::{HoldArguments, hold};
use report::Report;
use scenario::{SCENARIOS, Scenario};

use crate::place::Place;
use crate::systems::Programs;

#[derive(Debug, Args)]
pub(crate) struct CompareArguments {
    /// Which scenarios; all of them without any
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// How many rounds each system does
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Messages of a round, instead of the scenario's own number
    #[arg(long)]
    messages: Option<usize>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Name the scenarios, and do nothing
    #[arg(long)]
    list: bool,
}

/// What every scenario gets.
pub(crate) struct Bench<'a> {
    programs: Programs,
    folder: &'a Path,
    rounds: usize,
    messages: Option<usize>,
}

impl Bench<'_> {
    /// A folder for one scenario.
    fn place(&self) -> Result<Place> {
        Place::within(self.folder)
    }

    /// Messages of a round.
    fn messages(&self, usual: usize) -> usize {
        self.messages.unwrap_or(usual)
    }
}

/// Runs the scenarios, and prints their table.
///
/// # Errors
/// When a system can't be set up, or doesn't do what it should: lost mail, for one.
pub(crate) async fn run(arguments: &CompareArguments, folder: &Path) -> Result<()> {
    if arguments.list {
        for scenario in SCENARIOS {
            println!("{:<22} {}", scenario.name, scenario.what);
        }
        return Ok(());
    }
    let chosen = choose(&arguments.scenarios)?;
    let bench = Bench {
        programs: Programs::beside_us()?,
        folder,
        rounds: arguments.rounds.max(1),
        messages: arguments.messages,
    };
    let mut report = Report::new(&bench.programs);
    for scenario in chosen {
        eprintln!("{}: {}", scenario.name, scenario.what);
        scenario.kind.run(&bench, scenario, &mut report).await?;
    }
    report.print(arguments.json)
}

fn choose(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if names.is_empty() {
        return Ok(SCENARIOS.iter().collect());
    }
    let find = |name: &String| match SCENARIOS.iter().find(|scenario| scenario.name == *name) {
        Some(scenario) => Ok(scenario),
        None => bail!("there is no scenario {name}: `chasqui-bench compare --list` names them"),
    };
    names.iter().map(find).collect()
}
