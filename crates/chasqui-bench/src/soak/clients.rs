//! Mail that keeps coming: from mail clients by submission, from other servers by port 25. Whoever is refused or cut off
//! comes back, to another service of the same kind, with another message.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::book::Book;
use super::letters::{ALICE, Draft, PASSWORD};
use super::random::Random;
use crate::load::{Client, Letter, Refused, tls_connector};

/// All clients: half of them mail clients, half of them servers.
pub(super) const CLIENTS: usize = 8;
/// Between two messages of a client.
const PAUSE: Duration = Duration::from_millis(120);
/// Before a client that was refused or cut off comes back.
const PAUSE_AFTER_TROUBLE: Duration = Duration::from_millis(300);
/// How long a client waits for a session, and for a message to be taken, until it goes elsewhere.
pub(super) const PATIENCE: Duration = Duration::from_secs(12);
const NO_ANSWER: &str = "no answer in 12 s";
/// Messages of a session, at most.
const LONGEST_SESSION: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Submission,
    Port25,
}

/// Clients at work.
pub(super) struct Load {
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

impl Load {
    /// Clients that turn to any of these addresses.
    pub(super) fn start(
        submissions: &[SocketAddr],
        relays: &[SocketAddr],
        random: &mut Random,
        book: &Book,
    ) -> Result<Self> {
        let stop = watch::Sender::new(false);
        let connector = tls_connector()?;
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let (way, addresses) = match number % 2 {
                0 => (Way::Submission, submissions),
                _ => (Way::Port25, relays),
            };
            let sender = Sender {
                number,
                way,
                addresses: addresses.to_vec(),
                address: number / 2,
                messages: 0,
                connector: connector.clone(),
                random: random.fork(),
                book: book.clone(),
                stop: stop.subscribe(),
            };
            clients.spawn(sender.run());
        }
        Ok(Self { stop, clients })
    }

    /// Ends it, after the message that each client is at.
    pub(super) async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.clients.join_next().await.is_some() {}
    }
}

struct Sender {
    number: usize,
    way: Way,
    addresses: Vec<SocketAddr>,
    /// Which of the addresses is tried next, wrapped around.
    address: usize,
    messages: u64,
    connector: TlsConnector,
    random: Random,
    book: Book,
    stop: watch::Receiver<bool>,
}

impl Sender {
    async fn run(mut self) {
        while !self.stopped() {
            if let Err(trouble) = self.session().await {
                self.book.heard(words(self.way, &trouble));
                self.address += 1;
                sleep(PAUSE_AFTER_TROUBLE).await;
            }
        }
    }

    fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// One session, of some messages.
    async fn session(&mut self) -> Result<()> {
        let address = self.addresses[self.address % self.addresses.len()];
        let (way, connector) = (self.way, self.connector.clone());
        let mut client = patiently(open(way, address, &connector)).await?;
        for _ in 0..=self.random.below(LONGEST_SESSION) {
            if self.stopped() {
                break;
            }
            self.message(&mut client).await?;
            sleep(PAUSE).await;
        }
        // The mail is safe; how the session ends is of no interest.
        let _ = patiently(client.quit()).await;
        Ok(())
    }

    async fn message(&mut self, client: &mut Client) -> Result<()> {
        let draft = match self.way {
            Way::Submission => Draft::of_a_mail_client(&mut self.random),
            Way::Port25 => Draft::of_a_server(&mut self.random),
        };
        self.messages += 1;
        // Tells all messages of all clients apart.
        let tag = ((self.number as u64) << 40) | self.messages;
        let letter = Letter {
            from: draft.author,
            to: draft.recipients,
            tag,
            size: draft.size,
        };
        patiently(client.send(&letter)).await?;
        self.book.accepted(self.number, tag, draft.recipients);
        Ok(())
    }
}

async fn open(way: Way, address: SocketAddr, connector: &TlsConnector) -> Result<Client> {
    let client = Client::connect(address).await?;
    if way == Way::Port25 {
        return Ok(client);
    }
    let mut client = client.start_tls(connector).await?;
    client.login(ALICE, PASSWORD).await?;
    Ok(client)
}

async fn patiently<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENCE, work).await.context(NO_ANSWER).flatten()
}

/// What a client has to complain about: the reply, or else that there was none.
fn words(way: Way, trouble: &anyhow::Error) -> String {
    let told = match trouble.downcast_ref::<Refused>() {
        Some(refused) => refused.reply.clone(),
        None if trouble.to_string() == NO_ANSWER => "(no answer in time)".to_owned(),
        // A proxy lets everybody in, and then finds out that there is no server.
        None if trouble.to_string() == "no greeting" => "(nobody there)".to_owned(),
        None => "(cut off)".to_owned(),
    };
    let way = match way {
        Way::Submission => "submission",
        Way::Port25 => "port 25",
    };
    format!("{way}: {told}")
}
