//! `chasqui doctor`: what ails a fleet, and what to do about it.
//!
//! Each file looks at one thing and tells findings. Invariants: every wait has a deadline; nothing
//! is changed; what can't be looked at is a finding, too.

mod about;
mod certificates;
mod disk;
mod dnssec;
mod finding;
mod fleet;
mod known;
mod members;
mod names;
mod ports;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use rpc::Target;
use secrecy::SecretString;
use smtp::Domain;

use self::finding::{Finding, Verdict, in_words};
use self::known::Known;
use crate::database::DatabaseArguments;
use crate::failure::Failure;
use crate::output::Output;

/// Most local domains whose MX is looked up.
const MOST_DOMAINS: usize = 50;

/// `chasqui doctor`.
#[derive(Debug, Args)]
#[command(
    after_help = "Run it where services run, with their configuration files, as the user they run \
    as. Exit status: 0 nothing worse than a warning, 1 there are problems, 2 wrong usage."
)]
pub(crate) struct DoctorCommand {
    /// Configuration files of the services on this machine, such as relay.toml [default: those in
    /// --state]
    #[arg(long, value_name = "FILE", num_args = 1..)]
    config: Vec<PathBuf>,
    /// This host's name in the DNS, if no configuration tells it
    #[arg(long, value_name = "NAME", value_parser = Domain::parse)]
    host_name: Option<Domain>,
    /// Nameservers to ask [default: those of the relay's configuration, or of the system]
    #[arg(long, value_name = "ADDRESS:PORT")]
    nameserver: Vec<SocketAddr>,
    /// Where other services tell about themselves: their `[telemetry] listen`, as reached from here.
    /// All addresses of a name are asked; commas separate several
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "CHASQUI_DOCTOR__TELEMETRY",
        value_delimiter = ','
    )]
    telemetry: Vec<Target>,
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(command: DoctorCommand) -> Result<(), Failure> {
    let (mut known, mut findings) = Known::read(&command.files());
    if let Some(name) = &command.host_name {
        known.host_names = vec![name.to_string()];
        known.relay_names.clone_from(&known.host_names);
    }
    if !command.nameserver.is_empty() {
        known.nameservers.clone_from(&command.nameserver);
    }
    let url = match command.database.url() {
        Ok(url) => Some(url),
        Err(Failure::NoDatabase) => known.database.clone(),
        Err(error) => return Err(error),
    };
    findings.extend(examine(&known, url.as_ref(), &command.telemetry).await);
    command.output.one(&findings, || in_words(&findings))?;
    let problems = findings.iter().filter(|it| it.verdict == Verdict::Problem);
    match problems.count() {
        0 => Ok(()),
        problems => Err(Failure::Problems(problems)),
    }
}

impl DoctorCommand {
    fn files(&self) -> Vec<PathBuf> {
        if !self.config.is_empty() {
            return self.config.clone();
        }
        let Some(state) = self.database.state() else {
            return Vec::new();
        };
        let names = ["submission", "relay", "delivery"];
        let files = names.map(|name| state.join(format!("config/{name}.toml")));
        files.to_vec()
    }
}

/// All that waits waits at the same time.
async fn examine(known: &Known, url: Option<&SecretString>, telemetry: &[Target]) -> Vec<Finding> {
    let domains = local_domains(url).await;
    let ((fleet, mut versions), (members, others), names, dnssec, ports) = tokio::join!(
        fleet::look(url),
        members::look(known, telemetry),
        names::look(
            &known.nameservers,
            &known.host_names,
            &known.relay_names,
            &domains
        ),
        dnssec::look(&known.nameservers),
        ports::look(known),
    );
    versions.extend(others);
    let mut findings = fleet;
    findings.extend(members);
    findings.extend(fleet::about_versions(&versions));
    findings.extend(names);
    findings.extend(dnssec);
    findings.extend(certificates::look(known));
    findings.extend(ports);
    findings.extend(disk::look(&known.mail));
    findings
}

/// None where the directory can't be reached, which others tell.
async fn local_domains(url: Option<&SecretString>) -> Vec<String> {
    let Some(url) = url else {
        return Vec::new();
    };
    let mut config = directory::DatabaseConfig::new(url.clone());
    config.max_connections = 1;
    config.acquire_timeout = std::time::Duration::from_secs(3);
    let Ok(directory) = directory::Directory::connect(&config).await else {
        return Vec::new();
    };
    let domains = directory.list_domains().await.unwrap_or_default();
    let names = domains.into_iter().map(|domain| domain.name.to_string());
    names.take(MOST_DOMAINS).collect()
}
