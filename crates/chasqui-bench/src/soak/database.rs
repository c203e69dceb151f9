//! The fleet's Postgres: it can be killed, and looked into past all proxies.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use private_postgres::{PrivatePostgres, PrivatePostgresConfig};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::time::timeout;

use super::volume::Volume;

const DEATH: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);
/// For one look into it, which may be away or full.
const PATIENCE: Duration = Duration::from_secs(10);

/// A Postgres of our own. Ended when dropped.
#[derive(Debug, Clone)]
pub(super) struct Database {
    postgres: Arc<Mutex<PrivatePostgres>>,
    url: String,
}

/// Volumes of a database that can be filled each for itself.
#[derive(Debug)]
pub(super) struct DatabaseVolumes {
    /// Has its tables.
    pub(super) data: Volume,
    /// Has its write-ahead log.
    pub(super) log: Volume,
}

impl Database {
    /// Sets one up in a folder; what may become full goes to the volumes.
    pub(super) async fn start(folder: &Path, volumes: Option<&DatabaseVolumes>) -> Result<Self> {
        let config = PrivatePostgresConfig::kept_in(folder)
            .setting("max_connections", "200")
            .setting("autovacuum_naptime", "5s")
            // Few spare segments, so that a log without space comes to its end.
            .setting("min_wal_size", "32MB")
            .setting("max_wal_size", "128MB");
        let started =
            tokio::task::spawn_blocking(|| PrivatePostgres::start(config, |_| {})).await?;
        let postgres = started.context("can't start a private Postgres")?;
        let database = Self {
            url: postgres.url(),
            postgres: Arc::new(Mutex::new(postgres)),
        };
        if let Some(volumes) = volumes {
            database.move_to(volumes).await?;
        }
        Ok(database)
    }

    /// Where to connect, as a superuser.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.lock().port()))
    }

    pub(super) fn version(&self) -> String {
        self.lock().version().to_owned()
    }

    /// Where to connect so that all goes by way of another address.
    pub(super) fn url_by(&self, address: SocketAddr) -> String {
        self.url
            .replace(&self.address().to_string(), &address.to_string())
    }

    pub(super) fn is_running(&self) -> bool {
        self.lock().is_running()
    }

    /// `kill -9`; its sessions notice and die too.
    pub(super) async fn kill(&self) -> Result<()> {
        let postmaster = self.lock().postmaster().context("Postgres is not there")?;
        kill(Pid::from_raw(postmaster), Signal::SIGKILL)?;
        let began = Instant::now();
        while self.is_running() {
            ensure!(began.elapsed() < DEATH, "Postgres doesn't die");
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Starts it if it has gone, on the same port.
    pub(super) async fn ensure_running(&self) -> Result<()> {
        let postgres = Arc::clone(&self.postgres);
        let running = move || {
            let mut postgres = postgres.lock().unwrap_or_else(PoisonError::into_inner);
            match postgres.is_running() {
                true => Ok(()),
                false => postgres.restart(|_| {}),
            }
        };
        tokio::task::spawn_blocking(running)
            .await?
            .context("can't start Postgres again")
    }

    /// A connection of our own, past all proxies.
    pub(super) async fn connect(&self) -> Result<PgConnection> {
        connect(&self.url).await
    }

    /// One number out of it.
    pub(super) async fn number(&self, query: &str) -> Result<i64> {
        let mut connection = self.connect().await?;
        let look = sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(&mut connection);
        let number = timeout(PATIENCE, look).await.context("no answer")??;
        let _ = connection.close().await;
        Ok(number)
    }

    /// Does this to it.
    pub(super) async fn execute(&self, statements: &str) -> Result<()> {
        let mut connection = self.connect().await?;
        execute(&mut connection, statements).await?;
        let _ = connection.close().await;
        Ok(())
    }

    async fn move_to(&self, volumes: &DatabaseVolumes) -> Result<()> {
        let data = self.lock().data_folder();
        let owner = std::fs::metadata(&data)?;
        for volume in [&volumes.data, &volumes.log] {
            let (user, group) = (owner.uid(), owner.gid());
            std::os::unix::fs::chown(volume.folder(), Some(user), Some(group))?;
        }
        // A database is moved while nobody is in it.
        let (server, name) = self.url.rsplit_once('/').context("a URL without a name")?;
        let mut elsewhere = connect(&format!("{server}/postgres")).await?;
        let place = volumes.data.folder().display();
        let make = format!("CREATE TABLESPACE soak LOCATION '{place}'");
        execute(&mut elsewhere, &make).await?;
        let move_to = format!("ALTER DATABASE {name} SET TABLESPACE soak");
        execute(&mut elsewhere, &move_to).await?;
        elsewhere.close().await?;
        let (postgres, log) = (
            Arc::clone(&self.postgres),
            volumes.log.folder().join("pg_wal"),
        );
        let moved = move || {
            let mut postgres = postgres.lock().unwrap_or_else(PoisonError::into_inner);
            postgres.stop();
            move_folder(&data.join("pg_wal"), &log)?;
            postgres.restart(|_| {}).context("can't start Postgres")
        };
        tokio::task::spawn_blocking(moved).await?
    }

    fn lock(&self) -> MutexGuard<'_, PrivatePostgres> {
        self.postgres.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does this on a connection.
pub(super) async fn execute(connection: &mut PgConnection, statements: &str) -> Result<()> {
    let statements = AssertSqlSafe(statements.to_owned());
    timeout(PATIENCE, connection.execute(statements))
        .await
        .context("no answer")??;
    Ok(())
}

async fn connect(url: &str) -> Result<PgConnection> {
    let connecting = timeout(PATIENCE, PgConnection::connect(url));
    connecting
        .await
        .context("Postgres doesn't answer")?
        .context("can't connect to Postgres")
}

/// Moves a folder to another file system, with its owner, and leaves a link.
fn move_folder(from: &Path, to: &Path) -> Result<()> {
    let copied = Command::new("cp")
        .arg("-a")
        .args([from, to])
        .stdin(Stdio::null())
        .status()
        .context("can't run cp")?;
    ensure!(copied.success(), "can't copy {}", from.display());
    std::fs::remove_dir_all(from)?;
    Ok(std::os::unix::fs::symlink(to, from)?)
}
