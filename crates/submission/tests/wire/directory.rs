//! The real directory behind gRPC, as the delivery service has it.

use std::net::SocketAddr;

use directory::Directory;
use rpc::directory::{Authentication, DirectoryService, Login, Lookup, directory_server};
use rpc::{GrpcServer, GrpcServerConfig, ServiceFailure};
use secrecy::SecretString;
use smtp::{Domain, Mailbox};
use testkit::TestDatabase;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// alice, who is sales too, and bob; all at example.org.
pub(crate) async fn populated(database: &TestDatabase) -> Directory {
    directory::migrate(database.url()).await.unwrap();
    let config = directory::DatabaseConfig::new(database.url().into());
    let directory = Directory::connect(&config).await.unwrap();
    let domain = Domain::parse("example.org").unwrap();
    directory.add_domain(&domain, Some(7)).await.unwrap();
    let [alice, bob, sales] =
        ["alice", "bob", "sales"].map(|name| format!("{name}@example.org").parse().unwrap());
    for account in [&alice, &bob] {
        let password = SecretString::from(PASSWORD);
        directory.add_account(account, password).await.unwrap();
    }
    directory.add_alias(&sales, &[alice]).await.unwrap();
    directory
}

/// A directory that answers until it is stopped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn start(bind: SocketAddr, directory: Directory) -> Self {
        let config = GrpcServerConfig::plain(bind);
        let server = GrpcServer::bind(&config).await.unwrap();
        let server = server.with(directory_server(Adapter(directory)));
        let shutdown = CancellationToken::new();
        Self {
            address: server.local_addr(),
            shutdown: shutdown.clone(),
            task: tokio::spawn(async move { server.serve(shutdown).await.unwrap() }),
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

struct Adapter(Directory);

fn failed(error: directory::DirectoryError) -> ServiceFailure {
    ServiceFailure::Unavailable(error.to_string())
}

impl DirectoryService for Adapter {
    async fn lookup(&self, mailbox: &Mailbox) -> Result<Lookup, ServiceFailure> {
        self.0
            .lookup(mailbox)
            .await
            .map_err(failed)
            .map(|found| match found {
                directory::Lookup::NotLocal => Lookup::NotLocal,
                directory::Lookup::Unknown => Lookup::Unknown,
                directory::Lookup::Disabled => Lookup::Disabled,
                directory::Lookup::Mailbox => Lookup::Mailbox,
            })
    }

    async fn is_local(&self, domain: &str) -> Result<bool, ServiceFailure> {
        let domain = Domain::parse(domain).unwrap();
        self.0.is_local(&domain).await.map_err(failed)
    }

    async fn postmaster(&self) -> Result<Option<Mailbox>, ServiceFailure> {
        let name = self.0.postmaster().await.map_err(failed)?;
        Ok(name.map(|name| name.mailbox()))
    }

    async fn authenticate(
        &self,
        login: &str,
        password: SecretString,
    ) -> Result<Authentication, ServiceFailure> {
        let verdict = self.0.authenticate(login, password).await.map_err(failed)?;
        Ok(match verdict {
            directory::Authentication::Accepted(login) => Authentication::Accepted(Login {
                account: login.account.mailbox(),
                tenant: login.tenant,
            }),
            directory::Authentication::Rejected => Authentication::Rejected,
        })
    }

    async fn may_send_as(
        &self,
        account: &Mailbox,
        address: &Mailbox,
    ) -> Result<bool, ServiceFailure> {
        self.0.may_send_as(account, address).await.map_err(failed)
    }
}
