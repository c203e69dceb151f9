//! Databases on a real Postgres, which sets itself up and goes with the test process.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::Signal;
use private_postgres::{PrivatePostgres, PrivatePostgresConfig};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;

use crate::processes::{children_of, signal};
use crate::proxy::Proxy;
use crate::wait::wait_until;

/// The cluster that all tests of this process share.
static SHARED: OnceCell<TestPostgres> = OnceCell::const_new();

/// A fresh, empty database for one test, on a server that the whole test process shares.
///
/// The server is as durable as in production. It is started by the first test, for about a second,
/// and goes with the process, even if that is killed.
pub async fn database() -> TestDatabase {
    SHARED.get_or_init(postgres).await.database().await
}

/// A server for one test alone, which may stop, kill and restart it. Gone when dropped.
pub async fn postgres() -> TestPostgres {
    let config = PrivatePostgresConfig::temporary()
        // Test threads, each with a few pools.
        .setting("max_connections", "400");
    let postgres = blocking(|| PrivatePostgres::start(config, |_| {})).await;
    TestPostgres {
        postgres: Arc::new(Mutex::new(
            postgres.unwrap_or_else(|error| panic!("{error}")),
        )),
    }
}

/// A database of one test.
#[derive(Clone, Debug)]
pub struct TestDatabase {
    url: String,
}

impl TestDatabase {
    /// Where to connect, as a superuser.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the server listens, for a [`Proxy`] before it.
    #[must_use]
    pub fn server(&self) -> SocketAddr {
        let (_, after) = self.url.split_once('@').unwrap();
        let (server, _) = after.split_once('/').unwrap();
        server.parse().unwrap()
    }

    /// Where to connect so that all passes through a [`Proxy`] before [`server`](Self::server).
    #[must_use]
    pub fn url_through(&self, proxy: &Proxy) -> String {
        let server = self.server().to_string();
        self.url.replace(&server, &proxy.address().to_string())
    }

    /// A connection of one's own, to look and to meddle.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url)
            .await
            .unwrap_or_else(|error| panic!("can't connect to the test database: {error}"))
    }
}

/// A server of one test.
#[derive(Debug)]
pub struct TestPostgres {
    postgres: Arc<Mutex<PrivatePostgres>>,
}

impl TestPostgres {
    /// A fresh, empty database on this server.
    pub async fn database(&self) -> TestDatabase {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let maintenance = TestDatabase { url: self.url() };
        let mut connection = maintenance.connect().await;
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        if let Err(error) = connection.execute(create).await {
            panic!("can't create a test database: {error}");
        }
        let _ = connection.close().await;
        let (server, _) = maintenance.url.rsplit_once('/').unwrap();
        TestDatabase {
            url: format!("{server}/{name}"),
        }
    }

    /// The URL of a database that is always there.
    #[must_use]
    pub fn url(&self) -> String {
        self.lock().url()
    }

    /// The TCP port on 127.0.0.1, which stays over restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.lock().port()
    }

    /// Shuts the server down cleanly.
    pub async fn stop(&self) {
        let postgres = Arc::clone(&self.postgres);
        blocking(move || lock(&postgres).stop()).await;
    }

    /// Kills the server (`kill -9`) and waits for its end; its sessions die with it.
    pub async fn kill(&self) {
        signal(self.postmaster(), Signal::SIGKILL);
        wait_until("Postgres to be dead", async || !self.lock().is_running()).await;
    }

    /// Starts the server again after [`stop`](Self::stop) or [`kill`](Self::kill), on the same port.
    pub async fn start(&self) {
        let postgres = Arc::clone(&self.postgres);
        let started = blocking(move || lock(&postgres).restart(|_| {})).await;
        started.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Freezes the server and all of its sessions (SIGSTOP): connections stay, answers don't come.
    pub fn freeze(&self) {
        self.signal_all(Signal::SIGSTOP);
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.signal_all(Signal::SIGCONT);
    }

    fn signal_all(&self, what: Signal) {
        // The postmaster first, so that it starts no session while we look at what it has.
        let postmaster = self.postmaster();
        signal(postmaster, what);
        for session in children_of(postmaster) {
            signal(session, what);
        }
    }

    fn postmaster(&self) -> i32 {
        let postmaster = self.lock().postmaster();
        postmaster.expect("Postgres has been stopped")
    }

    fn lock(&self) -> MutexGuard<'_, PrivatePostgres> {
        lock(&self.postgres)
    }
}

fn lock(postgres: &Mutex<PrivatePostgres>) -> MutexGuard<'_, PrivatePostgres> {
    postgres.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}
