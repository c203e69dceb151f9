//! What the services show each other over gRPC.

use std::path::Path;

use testkit::TestAuthority;

use crate::fleet::{Settings, quoted};

/// The token that all services know, where one is demanded.
pub(crate) const TOKEN: &str = "a-token-that-nobody-can-guess-0001";

/// How services know each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// By a token.
    #[default]
    Token,
    /// By certificates of one authority, on both sides.
    MutualTls,
}

impl Credentials {
    /// Writes what the settings point to.
    pub(crate) fn prepare(self, folder: &Path) {
        if self == Self::MutualTls {
            let authority = TestAuthority::new();
            std::fs::write(folder.join("authority.pem"), authority.certificate()).unwrap();
            let _ = authority.issue(&["127.0.0.1"]).write_to(folder, "grpc");
        }
    }

    /// What `[grpc]` demands of callers.
    pub(crate) fn demand(self, settings: &mut Settings, folder: &Path) {
        match self {
            Self::Token => settings.set(&format!("grpc.token = \"{TOKEN}\"")),
            Self::MutualTls => settings.set(&format!(
                "grpc.tls.certificate = {}
                 grpc.tls.key = {}
                 grpc.tls.client_authority = {}",
                quoted(folder.join("grpc.pem")),
                quoted(folder.join("grpc.key")),
                quoted(folder.join("authority.pem")),
            )),
        }
    }

    /// What a section such as `directory` shows.
    pub(crate) fn show(self, settings: &mut Settings, section: &str, folder: &Path) {
        match self {
            Self::Token => settings.set(&format!("{section}.token = \"{TOKEN}\"")),
            Self::MutualTls => settings.set(&format!(
                "{section}.tls.certificate = {}
                 {section}.tls.key = {}
                 {section}.tls.authority = {}",
                quoted(folder.join("grpc.pem")),
                quoted(folder.join("grpc.key")),
                quoted(folder.join("authority.pem")),
            )),
        }
    }
}
