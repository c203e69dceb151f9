//! `chasqui dev`: a whole fleet in one process, for tries on one's own machine.
//!
//! The services are the real ones, with their own configuration files, and talk gRPC to each other
//! over loopback as they do everywhere else. What is special is only what this module sets up for
//! them: a private Postgres, a certificate, a domain with two accounts.

mod accounts;
mod certificate;
mod configuration;
mod error;
mod first_message;
mod fleet;
mod hints;
mod logs;
mod ports;
mod state;

use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use directory::{DatabaseConfig, Directory};
use private_postgres::{PrivatePostgres, PrivatePostgresConfig};
use smtp::Domain;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use self::accounts::{CREDENTIALS, Credentials, People};
use self::configuration::Configuration;
pub(crate) use self::error::DevError;
use self::fleet::Fleet;
use self::logs::LOG;
use self::ports::PortFlags;
use self::state::StateFolder;

#[derive(Debug, Args)]
pub(crate) struct DevCommand {
    /// Where everything is kept; a later start goes on with it
    #[arg(long, value_name = "DIR", default_value = ".chasqui")]
    state: PathBuf,
    /// The local domain [default: chasqui.test, or that of the last start]
    #[arg(long, value_parser = Domain::parse)]
    domain: Option<Domain>,
    #[command(flatten)]
    ports: PortFlags,
}

/// All that a fleet needs, set up.
struct SetUp {
    state: StateFolder,
    domain: Domain,
    configuration: Configuration,
    postgres: PrivatePostgres,
    people: People,
}

/// Sets everything up, starts it, sends the first message, and runs until `shutdown`.
pub(crate) async fn run(command: DevCommand, shutdown: CancellationToken) -> Result<(), DevError> {
    let started = Instant::now();
    let set_up = shutdown
        .run_until_cancelled(set_up(command, &shutdown))
        .await;
    let mut fleet = set_up.ok_or(DevError::Interrupted)??;
    let running = Fleet::start(fleet.configuration.clone()).await?;
    say("submission, relay and delivery are running");

    let over = CancellationToken::new();
    let serving = async {
        let ended = running.run(&shutdown).await;
        over.cancel();
        ended
    };
    let talking = over.run_until_cancelled(async {
        shutdown.run_until_cancelled(greet(&fleet, started)).await;
        shutdown.cancelled().await;
        say("stopping");
    });
    let (ended, _) = tokio::join!(serving, talking);
    spawn_blocking(move || fleet.postgres.stop()).await?;
    say("stopped");
    Ok(ended?)
}

async fn set_up(command: DevCommand, shutdown: &CancellationToken) -> Result<SetUp, DevError> {
    let state = StateFolder::open(&command.state)?;
    say(format_args!("chasqui dev, in {}", state.given().display()));
    let credentials = Credentials::read(&state)?;
    let domain = credentials.domain(command.domain)?;
    if certificate::provide(&state, &domain)? {
        say(format_args!(
            "made a certificate for localhost and {domain}, which nobody vouches for"
        ));
    }
    let (mut configuration, made) = configuration::provide(&state, &domain, &command.ports)?;
    if !made.is_empty() {
        say(format_args!("made {}", made.join(", ")));
    }
    logs::init(&state, &configuration.log(), shutdown)?;

    let config = PrivatePostgresConfig::kept_in(state.given());
    let postgres = spawn_blocking(|| PrivatePostgres::start(config, say)).await??;
    let url = postgres.url();
    configuration.use_database(&url);
    directory::migrate(&url).await?;
    queue::migrate(&url).await?;

    let directory = Directory::connect(&DatabaseConfig::new(url.into())).await?;
    let people = accounts::provide(&directory, &domain, credentials, &state).await?;
    directory.close().await;
    let (alice, bob) = (&people.alice.mailbox, &people.bob.mailbox);
    say(format_args!("accounts {alice} and {bob} are there"));
    Ok(SetUp {
        state,
        domain,
        configuration,
        postgres,
        people,
    })
}

/// Shows that it works, and what to try next.
async fn greet(fleet: &SetUp, started: Instant) {
    send_first_message(fleet).await;
    let hints = hints::hints(
        &fleet.configuration,
        &fleet.people,
        &fleet.state,
        &fleet.postgres.url(),
    );
    say(format_args!("\n{hints}\n"));
    let seconds = started.elapsed().as_secs_f64();
    say(format_args!(
        "ready after {seconds:.1} s; Ctrl-C stops everything"
    ));
}

async fn send_first_message(fleet: &SetUp) {
    let Some(submission) = fleet.configuration.submission_address() else {
        say("no first message: submission has no socket with STARTTLS");
        return;
    };
    if !fleet.people.can_log_in {
        let file = fleet.state.shown(CREDENTIALS);
        say(format_args!(
            "no first message: alice or bob has another password than {} says",
            file.display()
        ));
        return;
    }
    say("sending the first message, from alice to bob");
    let mail = &fleet.configuration.delivery.maildir.root;
    match first_message::send(submission, &fleet.domain, &fleet.people, mail).await {
        Ok(arrived) => {
            say(format_args!("  submission said: {}", arrived.reply));
            let milliseconds = arrived.took.as_millis();
            say(format_args!("  it arrived after {milliseconds} ms:"));
            say(format_args!("  {}", arrived.path.display()));
        }
        Err(error) => {
            let error = service::one_line(&error);
            let log = fleet.state.shown(LOG);
            say(format_args!(
                "the first message failed: {error}; see {}",
                log.display()
            ));
        }
    }
}

/// What mail to this host would be addressed to.
fn host_name(domain: &Domain) -> String {
    format!("mail.{domain}")
}

/// A line of progress. A reader that is gone has nobody to miss it.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
