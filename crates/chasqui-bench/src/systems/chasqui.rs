//! Chasqui: the release programs as separate processes, over a Postgres of their own.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use private_postgres::{PrivatePostgres, PrivatePostgresConfig};

use sqlx::{Connection as _, PgConnection};

use super::configuration::{Plan, Wiring};
use super::program::Program;
use super::{LOCAL_DOMAIN, LOCAL_USER, PASSWORD, Root, System};
use crate::place::{Place, free_address};

/// What the log says when a service is ready.
const READY: [(&str, &str); 3] = [
    ("delivery", "serving gRPC"),
    ("relay", "ready to send"),
    ("submission", "taking mail from mail clients"),
];
/// What a server for mail would be given, and no less durable. Of vacuum see docs/decisions/0005.
const POSTGRES: [(&str, &str); 4] = [
    ("max_connections", "300"),
    ("shared_buffers", "1GB"),
    ("max_wal_size", "4GB"),
    ("autovacuum_naptime", "5s"),
];

/// How long it may take to cancel the mail of a round.
const EMPTIED_WITHIN: Duration = Duration::from_secs(60);
/// How often is looked whether mail is left.
const LOOK: Duration = Duration::from_millis(200);

/// The folder of the programs that are measured.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Those beside this program itself, so that all are of one profile.
    pub(crate) fn beside_us() -> Result<Self> {
        let us = std::env::current_exe().context("can't find out where this program lies")?;
        let folder = us.parent().context("this program lies nowhere")?.to_owned();
        for name in ["submission", "relay", "delivery", "chasqui"] {
            ensure!(
                folder.join(name).is_file(),
                "there is no {name} in {}: build the services with the same profile first, \
                 such as `cargo build --release --workspace --bins`",
                folder.display()
            );
        }
        Ok(Self { folder })
    }

    /// The profile that they were built with, after the name of their folder.
    pub(crate) fn profile(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// One of them, which knows nothing of our own environment.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        for (variable, _) in std::env::vars_os() {
            let ours = variable.as_encoded_bytes().starts_with(b"CHASQUI_");
            if ours || variable == "DATABASE_URL" {
                command.env_remove(variable);
            }
        }
        command
    }
}

/// A running fleet.
pub(crate) struct Chasqui {
    // In the order in which they are to be ended.
    submission: Program,
    relays: Vec<Program>,
    delivery: Program,
    postgres: PrivatePostgres,
    relay_addresses: Vec<SocketAddr>,
    submission_address: SocketAddr,
    folder: PathBuf,
}

impl Chasqui {
    /// Starts Postgres and all services, and makes the domain and the account.
    pub(crate) async fn start(programs: &Programs, place: &Place, plan: &Plan) -> Result<Self> {
        let folder = place.folder("chasqui")?;
        let postgres = start_postgres(&folder).await?;
        populate(programs, &postgres.url())?;
        write_certificate(&folder)?;
        let wiring = Wiring {
            database_url: &postgres.url(),
            folder: &folder,
            delivery: free_address()?,
            relay_grpc: addresses(plan.relays)?,
        };
        let starter = Starter {
            programs,
            folder: &folder,
        };
        let delivery = starter
            .start("delivery", "delivery", &wiring.delivery())
            .await?;
        let relay_addresses = addresses(plan.relays)?;
        let mut relays = Vec::new();
        for (index, smtp) in relay_addresses.iter().enumerate() {
            let settings = wiring.relay(plan, index, *smtp);
            let name = format!("relay{}", index + 1);
            relays.push(starter.start("relay", &name, &settings).await?);
        }
        let submission_address = free_address()?;
        let settings = wiring.submission(submission_address, free_address()?);
        let submission = starter.start("submission", "submission", &settings).await?;
        Ok(Self {
            submission,
            relays,
            delivery,
            postgres,
            relay_addresses,
            submission_address,
            folder,
        })
    }

    /// Where each relay takes mail.
    pub(crate) fn relays(&self) -> &[SocketAddr] {
        &self.relay_addresses
    }

    /// A connection to the database.
    pub(crate) async fn database(&self) -> Result<PgConnection> {
        PgConnection::connect(&self.postgres.url())
            .await
            .context("can't connect to the private Postgres")
    }

    /// The `chasqui` command on this fleet's database.
    pub(crate) fn command(&self, programs: &Programs) -> Command {
        let mut command = programs.command("chasqui");
        command.env("DATABASE_URL", self.postgres.url());
        command
    }

    /// Runs `chasqui queue` with these arguments.
    pub(crate) fn queue(&self, programs: &Programs, arguments: &[&str]) -> Result<()> {
        let output = self
            .command(programs)
            .arg("queue")
            .args(arguments)
            .output()?;
        ensure!(
            output.status.success(),
            "chasqui queue {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// Cancels the mail for a domain, or all, until none is left: what was being tried is held when that fails, for a
    /// second command to cancel.
    pub(crate) async fn cancel(
        &self,
        programs: &Programs,
        domain: Option<&str>,
        within: Duration,
    ) -> Result<()> {
        let which = domain.map_or(vec!["--all"], |domain| vec!["--domain", domain]);
        let arguments = [vec!["cancel"], which].concat();
        let mut database = self.database().await?;
        let began = Instant::now();
        loop {
            self.queue(programs, &arguments)?;
            let count = "SELECT count(*) FROM queue.unit WHERE domain = $1 OR $1 IS NULL";
            let left: i64 = sqlx::query_scalar(count)
                .bind(domain)
                .fetch_one(&mut database)
                .await?;
            if left == 0 {
                return Ok(());
            }
            ensure!(
                began.elapsed() < within,
                "{left} messages were not cancelled"
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Cancels all mail, and has vacuum run, which otherwise would by itself some seconds later.
    pub(crate) async fn empty(&self, programs: &Programs) -> Result<()> {
        self.cancel(programs, None, EMPTIED_WITHIN).await?;
        sqlx::raw_sql("VACUUM queue.message, queue.unit, queue.ledger_delta")
            .execute(&mut self.database().await?)
            .await?;
        Ok(())
    }
}

impl System for Chasqui {
    fn name(&self) -> &'static str {
        "Chasqui"
    }

    fn roots(&self) -> Vec<Root> {
        let services = self.relays.iter().chain([&self.submission, &self.delivery]);
        let postgres = self.postgres.postmaster();
        services
            .map(|service| Root::new(service.name(), service.id()))
            .chain(postgres.map(|pid| Root::new("Postgres", pid)))
            .collect()
    }

    fn relay(&self) -> SocketAddr {
        self.relay_addresses[0]
    }

    fn submission(&self) -> SocketAddr {
        self.submission_address
    }

    fn mailbox(&self) -> PathBuf {
        self.folder.join("mail").join(LOCAL_DOMAIN).join("bob")
    }

    fn durability(&self) -> String {
        let settings = POSTGRES.map(|(name, value)| format!("{name} = {value}"));
        format!(
            "Chasqui on PostgreSQL {}: fsync = on, synchronous_commit = on, full_page_writes = on; {}; 250 follows the commit; \
             a mailbox's file and folder are synced before delivery is reported",
            self.postgres.version(),
            settings.join(", "),
        )
    }
}

struct Starter<'a> {
    programs: &'a Programs,
    folder: &'a Path,
}

impl Starter<'_> {
    async fn start(&self, program: &str, name: &str, settings: &str) -> Result<Program> {
        let file = self.folder.join(format!("{name}.toml"));
        std::fs::write(&file, settings)
            .with_context(|| format!("can't write {}", file.display()))?;
        let log = self.folder.join(format!("{name}.log"));
        let mut command = self.programs.command(program);
        let mut running = Program::start(name, command.arg("--config").arg(&file), &log)?;
        let ready = READY.iter().find(|(of, _)| *of == program);
        running.says(ready.map_or("", |(_, words)| words)).await?;
        Ok(running)
    }
}

async fn start_postgres(folder: &Path) -> Result<PrivatePostgres> {
    let mut config = PrivatePostgresConfig::kept_in(folder);
    for (name, value) in POSTGRES {
        config = config.setting(name, value);
    }
    let started = tokio::task::spawn_blocking(|| PrivatePostgres::start(config, |_| {})).await?;
    started.context("can't start a private Postgres")
}

fn addresses(count: usize) -> Result<Vec<SocketAddr>> {
    (0..count).map(|_| free_address()).collect()
}

/// As an operator does.
fn populate(programs: &Programs, database_url: &str) -> Result<()> {
    for arguments in [
        &["migrate"][..],
        &["domain", "add", LOCAL_DOMAIN],
        &["account", "add", LOCAL_USER],
    ] {
        let mut command = programs.command("chasqui");
        let mut child = command
            .args(arguments)
            .env("DATABASE_URL", database_url)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // Only the last one reads; the others may be gone already.
            let _ = writeln!(input, "{PASSWORD}");
        }
        let status = child.wait()?;
        ensure!(status.success(), "chasqui {} failed", arguments.join(" "));
    }
    Ok(())
}

/// A self-signed certificate for `localhost`: ECDSA P-256, as the peers get one too.
pub(crate) fn write_certificate(folder: &Path) -> Result<()> {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    std::fs::write(folder.join("certificate.pem"), certified.cert.pem())?;
    std::fs::write(
        folder.join("key.pem"),
        certified.signing_key.serialize_pem(),
    )?;
    Ok(())
}
