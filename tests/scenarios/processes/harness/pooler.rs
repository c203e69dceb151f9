//! Debian's PgBouncer before the database, in transaction mode.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use testkit::{Process, TestDatabase};

use super::ports::steady_address;
use crate::passed_over::pass_over;

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A pooler, until it is dropped.
pub(crate) struct Pooler {
    address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl Pooler {
    /// One with so many connections to the server. Where the program is missing, the calling test
    /// is to return at once: that it passes over is said here.
    pub(crate) async fn before(database: &TestDatabase, connections: usize) -> Option<Self> {
        if !Path::new(PROGRAM).is_file() {
            pass_over(&["PgBouncer"]);
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let address = steady_address();
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, configuration(database, address, connections)).unwrap();
        for path in [folder.path(), &file] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let mut command = Command::new(PROGRAM);
        // It refuses to run as root.
        if nix::unistd::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        let mut process = Process::start(command.arg(&file));
        process.wait_for_port(address).await;
        Some(Self {
            address,
            _process: process,
            _folder: folder,
        })
    }

    /// The same database, by way of the pooler.
    pub(crate) fn url(&self, database: &TestDatabase) -> String {
        let direct = database.server().to_string();
        let url = database.url().replace(&direct, &self.address.to_string());
        assert_ne!(url, database.url(), "{direct} is not in the URL");
        url
    }
}

fn configuration(database: &TestDatabase, address: SocketAddr, connections: usize) -> String {
    let server = database.server();
    let (_, after) = database.url().split_once("//").unwrap();
    let (login, _) = after.split_once('@').unwrap();
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    format!(
        "[databases]\n\
         * = host={} port={} user={user} password='{password}'\n\
         [pgbouncer]\n\
         listen_addr = {}\n\
         listen_port = {}\n\
         unix_socket_dir =\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         default_pool_size = {connections}\n\
         max_client_conn = 500\n",
        server.ip(),
        server.port(),
        address.ip(),
        address.port(),
    )
}
