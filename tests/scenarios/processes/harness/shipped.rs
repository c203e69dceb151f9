//! The programs with the configuration files that are shipped. What differs from host to host comes from the environment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use testkit::{Binaries, TestCertificate, TestDatabase};

use super::ports::steady_address;

/// The services' programs.
pub(crate) const PROGRAMS: [&str; 3] = ["delivery", "relay", "submission"];

/// A host with the shipped files.
pub(crate) struct Shipped {
    binaries: Binaries,
    database_url: String,
    folder: TempDir,
    /// Where submission speaks SMTP with STARTTLS.
    pub(crate) submission: SocketAddr,
    /// Where the relay speaks SMTP.
    pub(crate) relay: SocketAddr,
    relay_grpc: SocketAddr,
    delivery_grpc: SocketAddr,
}

impl Shipped {
    /// A host whose services use this database.
    pub(crate) async fn on(database: &TestDatabase) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let _ = TestCertificate::self_signed(&["localhost"]).write_to(folder.path(), "smtp");
        Self {
            binaries: testkit::binaries().await,
            database_url: database.url().to_owned(),
            folder,
            submission: steady_address(),
            relay: steady_address(),
            relay_grpc: steady_address(),
            delivery_grpc: steady_address(),
        }
    }

    /// A service with its shipped file and this host's environment, yet to be started.
    pub(crate) fn service(&self, program: &str) -> Command {
        self.service_by(program, &shipped_file(program))
    }

    /// The same with another file.
    pub(crate) fn service_by(&self, program: &str, file: &Path) -> Command {
        let mut command = self.command(program);
        command.arg("--config").arg(file);
        for (key, value) in self.environment(program) {
            command.env(variable(program, key), value);
        }
        command
    }

    /// Any program, which is told of the database alone.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = self.binaries.command(program);
        command.env("DATABASE_URL", &self.database_url);
        command
    }

    /// Where mail lies.
    pub(crate) fn mail(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// Where files of this host lie.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn environment(&self, program: &str) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let listen = |address, tls| format!("[{{ address = \"{address}\", tls = \"{tls}\" }}]");
        let target = |address| format!("[\"{address}\"]");
        match program {
            "delivery" => vec![
                ("MAILDIR__ROOT", self.mail().display().to_string()),
                ("GRPC__BIND", self.delivery_grpc.to_string()),
                ("LISTEN", listen(steady_address(), "none")),
            ],
            "relay" => vec![
                ("TLS__CERTIFICATE", path("smtp.pem")),
                ("TLS__KEY", path("smtp.key")),
                ("GRPC__BIND", self.relay_grpc.to_string()),
                ("LISTEN", listen(self.relay, "starttls")),
                ("DIRECTORY__TARGETS", target(self.delivery_grpc)),
                ("DELIVERY__TARGETS", target(self.delivery_grpc)),
            ],
            _ => vec![
                ("TLS__CERTIFICATE", path("smtp.pem")),
                ("TLS__KEY", path("smtp.key")),
                ("GRPC__BIND", steady_address().to_string()),
                ("LISTEN", listen(self.submission, "starttls")),
                ("DIRECTORY__TARGETS", target(self.delivery_grpc)),
                ("RELAY__TARGETS", target(self.relay_grpc)),
            ],
        }
    }
}

/// `CHASQUI_RELAY__GRPC__BIND` is `bind` in `[grpc]` of the relay.
pub(crate) fn variable(program: &str, key: &str) -> String {
    format!("CHASQUI_{}__{key}", program.to_uppercase())
}

/// The configuration file of a program, as it is shipped.
pub(crate) fn shipped_file(program: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/config");
    folder.join(format!("{program}.toml"))
}
