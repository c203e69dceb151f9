//! A private Postgres as its owner sees it.

use std::fmt;
use std::path::PathBuf;

use crate::binaries::Binaries;
use crate::cluster::Cluster;
use crate::config::PrivatePostgresConfig;
use crate::error::StartError;
use crate::server::{Server, stop_leftover};
use crate::set_up::set_up;
use crate::step::Step;

/// The superuser.
pub const USER: &str = "chasqui";
/// The database that set-up makes.
pub const DATABASE: &str = "chasqui";

/// How a server was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// With a checkpoint.
    Clean,
    /// Too slowly, so it was cut short. Nothing that was committed is lost; the next start recovers.
    Forced,
    /// It was not running.
    NotRunning,
}

/// A Postgres of our own. It ends when this is dropped, or with the process.
pub struct PrivatePostgres {
    cluster: Cluster,
    binaries: Binaries,
    config: PrivatePostgresConfig,
    password: String,
    port: u16,
    server: Option<Server>,
}

impl PrivatePostgres {
    /// Starts the cluster that `config` names, after making it if need be. Blocks until the server
    /// accepts connections; `progress` is called at each step.
    ///
    /// A server that a dead owner left behind is stopped first.
    ///
    /// # Errors
    /// [`StartError`], each one line with the remedy.
    pub fn start(
        config: PrivatePostgresConfig,
        mut progress: impl FnMut(Step),
    ) -> Result<Self, StartError> {
        let cluster = Cluster::open(&config.place)?;
        let binaries = Binaries::find(cluster.account(), &cluster.data())?;
        progress(Step::Found {
            version: binaries.version.clone(),
            folder: binaries.folder.clone(),
        });
        if cluster.data().exists() {
            stop_leftover(&cluster.data(), &mut progress)?;
        } else {
            progress(Step::SettingUp {
                folder: cluster.folder().to_owned(),
                user: cluster.account().name().map(str::to_owned),
            });
            set_up(&cluster, &binaries)?;
        }
        let password = cluster.password()?;
        let server = Server::start(&cluster, &binaries, &config, &mut progress)?;
        Ok(Self {
            cluster,
            binaries,
            config,
            password,
            port: server.port(),
            server: Some(server),
        })
    }

    /// Where to connect: `postgres://user:password@127.0.0.1:port/chasqui`. Holds the password.
    #[must_use]
    pub fn url(&self) -> String {
        url(&self.password, self.port)
    }

    /// The TCP port on 127.0.0.1; it stays the same over [`restart`](Self::restart).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The version, such as `15.8`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.binaries.version
    }

    /// Postgres' data folder.
    #[must_use]
    pub fn data_folder(&self) -> PathBuf {
        self.cluster.data()
    }

    /// What Postgres says.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.cluster.log()
    }

    /// The server's process id, unless it was stopped.
    #[must_use]
    pub fn postmaster(&self) -> Option<i32> {
        self.server
            .as_ref()
            .map(|server| server.postmaster().as_raw())
    }

    /// Whether the server is there; it may have been killed.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        self.server.as_mut().is_some_and(Server::is_running)
    }

    /// Shuts the server down cleanly and waits for its end, by force after half a minute.
    pub fn stop(&mut self) -> Shutdown {
        if !self.is_running() {
            self.server = None;
            return Shutdown::NotRunning;
        }
        match self.server.take().map(Server::stop) {
            Some(true) => Shutdown::Clean,
            Some(false) => Shutdown::Forced,
            None => Shutdown::NotRunning,
        }
    }

    /// Starts the server again on the same port, after a [`stop`](Self::stop) or a crash.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn restart(&mut self, mut progress: impl FnMut(Step)) -> Result<(), StartError> {
        self.stop();
        self.config.port = Some(self.port);
        stop_leftover(&self.cluster.data(), &mut progress)?;
        let server = Server::start(&self.cluster, &self.binaries, &self.config, &mut progress)?;
        self.server = Some(server);
        Ok(())
    }
}

pub(crate) fn url(password: &str, port: u16) -> String {
    format!("postgres://{USER}:{password}@127.0.0.1:{port}/{DATABASE}")
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if !self.cluster.is_temporary() {
            self.stop();
            return;
        }
        if let Some(server) = self.server.take() {
            server.end_at_once();
        }
    }
}

impl fmt::Debug for PrivatePostgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivatePostgres")
            .field("folder", &self.cluster.folder())
            .field("port", &self.port)
            .field("password", &"[redacted]")
            .field("running", &self.server.is_some())
            .finish()
    }
}
