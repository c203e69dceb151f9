//! Mail that keeps coming: from mail clients by submission, from other servers by port 25. Whoever is refused or cut off
//! comes back, to another service of the same kind if there is one, with another message.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use smtp::client::{Config, Stage, Timeouts};
use smtp::{Body, Domain, Mailbox, ReversePath};
use smtp_net::{AuthFailure, ClientConnection, ClientOptions, NotSent, OutboundTransaction};
use testkit::wait_until;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::letters::letter;
use super::sent::{Sent, Trouble};
use super::{ALICE, BOB, JO, PASSWORD, STRANGER};

/// Between two messages of one client.
const PAUSE: Duration = Duration::from_millis(15);
/// Before a client that was refused or cut off comes back.
const PAUSE_AFTER_TROUBLE: Duration = Duration::from_millis(100);
/// How long a client waits for a word.
const PATIENCE: Duration = Duration::from_secs(15);

/// How a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As `alice`, who logs in: to `bob`, to `jo` at the far end, to both.
    Submission,
    /// As another server: to `bob`.
    Port25,
}

/// Clients at work.
pub(crate) struct Load {
    stop: CancellationToken,
    clients: JoinSet<()>,
    sent: Arc<Mutex<Sent>>,
}

impl Load {
    /// So many clients of each way, each of which may turn to any of the addresses.
    pub(super) fn start(ways: &[(Way, usize, Vec<SocketAddr>)]) -> Self {
        let mut load = Self {
            stop: CancellationToken::new(),
            clients: JoinSet::new(),
            sent: Arc::default(),
        };
        for (way, count, addresses) in ways {
            for _ in 0..*count {
                let number = load.clients.len();
                let client = Client {
                    number,
                    way: *way,
                    addresses: addresses.clone(),
                    address: number,
                    messages: 0,
                    sent: Arc::clone(&load.sent),
                    stop: load.stop.clone(),
                };
                load.clients.spawn(client.run());
            }
        }
        load
    }

    /// How it stands now.
    pub(crate) fn sent(&self) -> MutexGuard<'_, Sent> {
        lock(&self.sent)
    }

    /// Waits until so many more messages were acknowledged.
    pub(crate) async fn goes_on(&self, messages: usize) {
        let wanted = self.sent().messages() + messages;
        wait_until(
            &format!("{messages} more messages to be taken"),
            async || self.sent().messages() >= wanted,
        )
        .await;
    }

    /// Waits until a client was refused with these words, on this way.
    pub(crate) async fn is_refused(&self, way: Way, words: &str) {
        wait_until(&format!("{words:?} at {way:?}"), async || {
            self.sent().was_refused(way, words)
        })
        .await;
    }

    /// Ends it, after the message that each client is at.
    pub(crate) async fn stop(mut self) -> Sent {
        self.stop.cancel();
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        self.sent().clone()
    }
}

struct Client {
    number: usize,
    way: Way,
    addresses: Vec<SocketAddr>,
    /// Which of the addresses is tried next, wrapped around.
    address: usize,
    messages: usize,
    sent: Arc<Mutex<Sent>>,
    stop: CancellationToken,
}

impl Client {
    async fn run(mut self) {
        while !self.stop.is_cancelled() {
            if let Err(trouble) = self.session().await {
                lock(&self.sent).trouble(self.way, trouble);
                self.address += 1;
                sleep(PAUSE_AFTER_TROUBLE).await;
            }
        }
    }

    /// One session: messages until it ends, by us or by the server.
    async fn session(&mut self) -> Result<(), Trouble> {
        let address = self.addresses[self.address % self.addresses.len()];
        let connection = ClientConnection::connect(address, "localhost", &options()).await;
        let mut connection = connection.map_err(|failure| match failure.reply() {
            Some(reply) => Trouble::Refused(Stage::Greeting, reply.clone()),
            None => Trouble::NoSession,
        })?;
        if self.way == Way::Submission {
            let login = connection.authenticate(ALICE, PASSWORD).await;
            login.map_err(|failure| match failure {
                AuthFailure::Refused(reply) => Trouble::Refused(Stage::Auth, reply),
                AuthFailure::NotTried(_) | AuthFailure::Ended(_) => Trouble::NoSession,
            })?;
        }
        while !self.stop.is_cancelled() && connection.is_reusable() {
            self.message(&mut connection).await?;
            sleep(PAUSE).await;
        }
        connection.quit().await;
        Ok(())
    }

    async fn message(&mut self, connection: &mut ClientConnection) -> Result<(), Trouble> {
        self.messages += 1;
        let tag = format!("client-{}-{}", self.number, self.messages);
        let (author, recipients) = self.envelope();
        let mailboxes: Vec<Mailbox> = recipients.iter().copied().map(mailbox).collect();
        let transaction = OutboundTransaction {
            reverse_path: &ReversePath::Mailbox(mailbox(author)),
            recipients: &mailboxes,
            body: Body::SevenBit,
            content: &[Bytes::from(letter(&tag, author))],
        };
        let results = connection.send(&transaction, &|| true).await;
        let results = results.map_err(|error| match error {
            NotSent::NotBegun(_) => Trouble::NoSession,
            other => panic!("a message that can't be sent: {other}"),
        })?;
        let mut sent = lock(&self.sent);
        let mut trouble = None;
        for (recipient, result) in recipients.iter().zip(results) {
            if result.is_accepted() {
                sent.acknowledged(self.number, &tag, recipient);
            }
            trouble = Trouble::with(result).or(trouble);
        }
        trouble.map_or(Ok(()), Err)
    }

    /// Author and recipients of the next message.
    fn envelope(&self) -> (&'static str, &'static [&'static str]) {
        match (self.way, self.messages % 3) {
            (Way::Port25, _) => (STRANGER, &[BOB]),
            (Way::Submission, 0) => (ALICE, &[BOB]),
            (Way::Submission, 1) => (ALICE, &[JO]),
            (Way::Submission, _) => (ALICE, &[BOB, JO]),
        }
    }
}

fn options() -> ClientOptions {
    let timeouts = Timeouts {
        greeting: PATIENCE,
        hello: PATIENCE,
        start_tls: PATIENCE,
        auth: PATIENCE,
        mail: PATIENCE,
        rcpt: PATIENCE,
        data: PATIENCE,
        data_block: PATIENCE,
        final_dot: PATIENCE,
        quit: PATIENCE,
    };
    ClientOptions::new(Config {
        timeouts,
        ..Config::new(Domain::parse("client.test").unwrap())
    })
}

fn mailbox(address: &str) -> Mailbox {
    Mailbox::parse(address).unwrap()
}

fn lock(sent: &Mutex<Sent>) -> MutexGuard<'_, Sent> {
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}
