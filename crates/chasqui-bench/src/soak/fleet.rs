//! Two of each service as separate processes, with a proxy on every way between them.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};

use super::database::Database;
use super::letters::{ALICE, BOB, LOCAL_DOMAIN, PASSWORD};
use super::links::{Links, Speech};
use super::service::{Role, Service, host_name};
use crate::place::free_address;
use crate::systems::{Programs, write_certificate};

/// Of each service.
const INSTANCES: usize = 2;
/// Connections of each relay to the far end: as many messages may be under way there at a time.
pub(super) const CONNECTIONS: usize = 10;

/// A running fleet. Its processes are killed when it is dropped.
pub(super) struct Fleet {
    // The services go before what they stand on.
    pub(super) services: Vec<Service>,
    pub(super) links: Links,
    pub(super) database: Database,
    /// Where clients find submission, by proxies.
    pub(super) submissions: Vec<SocketAddr>,
    /// Where other servers find the relays, by proxies.
    pub(super) relays: Vec<SocketAddr>,
    folder: PathBuf,
}

impl Fleet {
    /// Starts all services on a database that is still empty.
    pub(super) async fn start(
        programs: &Programs,
        folder: &Path,
        database: Database,
        far_end: SocketAddr,
    ) -> Result<Self> {
        populate(programs, database.url())?;
        write_certificate(folder)?;
        let mut links = Links::default();
        let far_end = links
            .before(far_end, Speech::Smtp, "relays to the far end".to_owned())
            .await?;
        let mut site = Site {
            programs,
            folder,
            database: &database,
            links,
            far_end,
            deliveries: Vec::new(),
            relays: Vec::new(),
        };
        let (mut services, mut submissions, mut relays) = (Vec::new(), Vec::new(), Vec::new());
        for number in 1..=INSTANCES {
            services.push(site.delivery(number).await?);
        }
        for number in 1..=INSTANCES {
            let (service, entry) = site.relay(number).await?;
            services.push(service);
            relays.push(entry);
        }
        for number in 1..=INSTANCES {
            let (service, entry) = site.submission(number).await?;
            services.push(service);
            submissions.push(entry);
        }
        let links = site.links;
        Ok(Self {
            services,
            links,
            database,
            submissions,
            relays,
            folder: folder.to_owned(),
        })
    }

    /// The services of a kind, by their places among all.
    pub(super) fn places_of(&self, role: Role) -> Vec<usize> {
        let all = self.services.iter().enumerate();
        all.filter(|(_, service)| service.role == role)
            .map(|(place, _)| place)
            .collect()
    }

    /// The Maildir of an account.
    pub(super) fn mailbox(&self, account: &str) -> PathBuf {
        mailbox(&self.folder, account)
    }

    /// The last incarnation of a relay.
    pub(super) async fn incarnation_of(&self, relay: &Service) -> Result<i64> {
        let node = &relay.host_name;
        let query = format!("SELECT max(id) FROM queue.live_incarnation WHERE node = '{node}'");
        self.database.number(&query).await
    }

    /// Ends all services in good order, producers first.
    pub(super) async fn terminate(&mut self) -> Result<()> {
        for service in self.services.iter_mut().rev() {
            service.terminate().await?;
        }
        Ok(())
    }
}

/// Where mailboxes lie within the folder of a fleet.
pub(super) fn mail_folder(folder: &Path) -> PathBuf {
    folder.join("mail")
}

fn mailbox(folder: &Path, account: &str) -> PathBuf {
    let (local_part, domain) = account.split_once('@').unwrap_or((account, LOCAL_DOMAIN));
    mail_folder(folder).join(domain).join(local_part)
}

/// Where services start.
struct Site<'a> {
    programs: &'a Programs,
    folder: &'a Path,
    database: &'a Database,
    links: Links,
    /// By its proxy, as are all of these.
    far_end: SocketAddr,
    deliveries: Vec<SocketAddr>,
    relays: Vec<SocketAddr>,
}

impl Site<'_> {
    async fn delivery(&mut self, number: usize) -> Result<Service> {
        let (settings, grpc) = self.common(Role::Delivery, number).await?;
        self.deliveries.push(grpc);
        let mail = mail_folder(self.folder);
        let settings = format!("{settings}maildir.root = \"{}\"\n", mail.display());
        self.service(Role::Delivery, number, &settings).await
    }

    async fn relay(&mut self, number: usize) -> Result<(Service, SocketAddr)> {
        let (settings, grpc) = self.common(Role::Relay, number).await?;
        self.relays.push(grpc);
        let smtp = free_address()?;
        let settings = format!(
            "{settings}\
             node = \"{node}\"\n\
             listen = [{{ address = \"{smtp}\", tls = \"none\" }}]\n\
             directory.targets = {deliveries}\n\
             delivery.targets = {deliveries}\n\
             inbound.relay_networks = [\"127.0.0.0/8\"]\n\
             {TIMES}\
             outbound.connections_per_destination = {CONNECTIONS}\n\
             {tls}\
             [[route]]\ndomain = \"*\"\nsmart_host = \"{far_end}\"\n",
            node = host_name(Role::Relay, number),
            deliveries = list(&self.deliveries),
            tls = self.certificate(),
            far_end = self.far_end,
        );
        let service = self.service(Role::Relay, number, &settings).await?;
        let name = format!("servers to relay{number}");
        let entry = self.links.before(smtp, Speech::Smtp, name).await?;
        Ok((service, entry))
    }

    async fn submission(&mut self, number: usize) -> Result<(Service, SocketAddr)> {
        let (settings, _) = self.common(Role::Submission, number).await?;
        let smtp = free_address()?;
        let settings = format!(
            "{settings}\
             listen = [{{ address = \"{smtp}\", tls = \"starttls\" }}]\n\
             directory.targets = {deliveries}\n\
             relay.targets = {relays}\n\
             limits.messages_per_hour = 4000000000\n\
             {tls}",
            deliveries = list(&self.deliveries),
            relays = list(&self.relays),
            tls = self.certificate(),
        );
        let service = self.service(Role::Submission, number, &settings).await?;
        let name = format!("mail clients to submission{number}");
        let entry = self.links.before(smtp, Speech::Smtp, name).await?;
        Ok((service, entry))
    }

    /// What all services are told, and where this one is found by gRPC.
    async fn common(&mut self, role: Role, number: usize) -> Result<(String, SocketAddr)> {
        let (grpc, name) = (free_address()?, role.program());
        let by_grpc = format!("callers to {name}{number} by gRPC");
        let entry = self.links.before(grpc, Speech::Grpc, by_grpc).await?;
        let to_postgres = format!("{name}{number} to Postgres");
        let postgres = self.database.address();
        let database = self
            .links
            .before(postgres, Speech::Postgres, to_postgres)
            .await?;
        let settings = format!(
            "host_name = \"{}\"\ndatabase.url = \"{}\"\ngrpc.bind = \"{grpc}\"\n",
            host_name(role, number),
            self.database.url_by(database),
        );
        Ok((settings, entry))
    }

    fn certificate(&self) -> String {
        let path = |name: &str| self.folder.join(name).display().to_string();
        format!(
            "tls.certificate = \"{}\"\ntls.key = \"{}\"\n",
            path("certificate.pem"),
            path("key.pem"),
        )
    }

    async fn service(&self, role: Role, number: usize, settings: &str) -> Result<Service> {
        Service::start(self.programs, role, number, settings, self.folder).await
    }
}

/// What production counts in minutes, in moments: so that a soak comes to its end.
const TIMES: &str = "\
    outbound.retry_first = \"500ms\"\n\
    outbound.retry_longest = \"2s\"\n\
    outbound.suspend_first = \"500ms\"\n\
    outbound.suspend_longest = \"2s\"\n\
    outbound.internal_retry = \"500ms\"\n\
    outbound.drain_deadline = \"10s\"\n";

fn list(addresses: &[SocketAddr]) -> String {
    let quoted: Vec<String> = addresses
        .iter()
        .map(|address| format!("\"{address}\""))
        .collect();
    format!("[{}]", quoted.join(", "))
}

/// The domain and the accounts, as an operator makes them.
fn populate(programs: &Programs, database_url: &str) -> Result<()> {
    for arguments in [
        &["migrate"][..],
        &["domain", "add", LOCAL_DOMAIN],
        &["account", "add", ALICE],
        &["account", "add", BOB],
    ] {
        let mut child = programs
            .command("chasqui")
            .args(arguments)
            .env("DATABASE_URL", database_url)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("can't run chasqui")?;
        if let Some(mut input) = child.stdin.take() {
            // Only accounts have passwords; whoever reads none may be gone already.
            let _ = writeln!(input, "{PASSWORD}");
        }
        ensure!(
            child.wait()?.success(),
            "chasqui {} failed",
            arguments.join(" ")
        );
    }
    Ok(())
}
