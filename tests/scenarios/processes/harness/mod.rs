//! A fleet of separate processes, mail that keeps coming, and counts at the receiving ends.
//!
//! Invariant: the services are known here by their programs, their configuration files and their sockets alone.

mod arrivals;
mod books;
mod caller;
mod clients;
mod collector;
mod credentials;
mod letters;
mod pages;
mod plan;
mod pooler;
mod ports;
mod sending;
mod sent;
mod service;
mod shipped;
mod volume;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use testkit::{Proxy, Sink, wait_until};

pub(crate) use arrivals::Tally;
use arrivals::mail_in;
pub(crate) use books::{Books, held_by, left_of};
pub(crate) use caller::Caller;
pub(crate) use clients::{Load, Way};
pub(crate) use collector::{Collector, attribute};
pub(crate) use credentials::{Credentials, TOKEN};
pub(crate) use letters::letter;
pub(crate) use pages::{Metrics, page};
pub(crate) use plan::Plan;
pub(crate) use pooler::Pooler;
pub(crate) use ports::steady_address;
pub(crate) use sending::mail_client;
pub(crate) use sent::Sent;
pub(crate) use service::Service;
pub(crate) use shipped::{PROGRAMS, Shipped, shipped_file, variable};
pub(crate) use volume::Volume;

/// The local domain.
pub(crate) const DOMAIN: &str = "home.test";
/// A domain elsewhere.
pub(crate) const FAR: &str = "far.test";
/// Who submits.
pub(crate) const ALICE: &str = "alice@home.test";
/// Who gets local mail.
pub(crate) const BOB: &str = "bob@home.test";
/// Who gets mail at the far end.
pub(crate) const JO: &str = "jo@far.test";
/// Who writes from elsewhere.
pub(crate) const STRANGER: &str = "stranger@elsewhere.test";
/// The password of `alice` and `bob`, which no log may show.
pub(crate) const PASSWORD: &str = "canary-password-6b1f";

/// A fleet of separate processes over one database.
pub(crate) struct Fleet {
    pub(crate) submissions: Vec<Service>,
    pub(crate) relays: Vec<Service>,
    pub(crate) deliveries: Vec<Service>,
    pub(crate) books: Books,
    folder: TempDir,
    /// Where mailboxes lie.
    mail: PathBuf,
    /// Before the gRPC of deliveries and relays, if the plan wanted them.
    pub(crate) proxies: Vec<Proxy>,
}

impl Fleet {
    /// Mail from mail clients and from other servers, so many of each, until it is stopped.
    pub(crate) fn load(&self, mail_clients: usize, servers: usize) -> Load {
        let addresses = |services: &[Service]| services.iter().map(Service::smtp).collect();
        Load::start(&[
            (Way::Submission, mail_clients, addresses(&self.submissions)),
            (Way::Port25, servers, addresses(&self.relays)),
        ])
    }

    /// Waits until nothing is queued any more, and counts what has arrived. Everything that was acknowledged must have
    /// been by then: what isn't queued and didn't arrive is lost.
    pub(crate) async fn tally(&self, sent: &Sent, far_end: &Sink) -> Tally {
        self.books.are_empty().await;
        self.books.assert_balance().await;
        Tally::of(
            sent,
            &arrivals::Arrivals::count(&self.mailbox("bob"), far_end),
        )
    }

    /// The folder of a mailbox of the local domain.
    pub(crate) fn mailbox(&self, name: &str) -> PathBuf {
        self.mail.join(DOMAIN).join(name)
    }

    /// Waits until a mailbox of the local domain has so many messages, and returns all that it has.
    pub(crate) async fn mail_of(&self, name: &str, count: usize) -> Vec<String> {
        mail_at(&self.mailbox(name), count).await
    }

    /// Where configuration, certificates and mail lie.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All services.
    pub(crate) fn services(&mut self) -> impl Iterator<Item = &mut Service> {
        let submissions = self.submissions.iter_mut();
        submissions
            .chain(&mut self.relays)
            .chain(&mut self.deliveries)
    }

    /// None has ended by itself.
    pub(crate) fn assert_all_run(&mut self) {
        for service in self.services() {
            assert!(service.is_running(), "{} has gone", service.host_name);
        }
    }

    /// Ends all services in good order (SIGTERM), producers first.
    pub(crate) async fn end_all(&mut self) {
        for service in self.services() {
            let status = service.terminate().await;
            assert!(
                status.success(),
                "{} ended with {status}",
                service.host_name
            );
        }
    }

    /// Ends all services, and looks whether anything is left behind.
    pub(crate) async fn end(mut self) {
        self.end_all().await;
        for service in self.services() {
            let log = service.log();
            assert!(
                !log.contains("panicked at"),
                "{} panicked:\n{log}",
                service.host_name
            );
        }
        let alive = "SELECT count(*) FROM queue.live_incarnation WHERE node LIKE '%fleet.test'";
        assert_eq!(
            self.books.number(alive).await,
            0,
            "incarnations that did not end"
        );
        let leased = "SELECT count(*) FROM queue.unit WHERE holder IS NOT NULL";
        assert_eq!(
            self.books.number(leased).await,
            0,
            "leases that nobody gave back"
        );
        self.books.assert_balance().await;
    }
}

/// Waits until a mailbox has so many messages, and returns all that it has.
pub(crate) async fn mail_at(mailbox: &Path, count: usize) -> Vec<String> {
    let what = format!("{count} messages in {}", mailbox.display());
    wait_until(&what, async || mail_in(mailbox).len() >= count).await;
    let mail = mail_in(mailbox).into_iter();
    mail.map(|mail| String::from_utf8(mail).unwrap()).collect()
}
