//! Mail into the fleet: as a mail client by submission, as another server by port 25.

use bytes::Bytes;
use smtp::client::{Config, RecipientResult};
use smtp::{Body, Domain, Mailbox, ReversePath};
use smtp_net::{ClientConnection, ClientOptions, OutboundTransaction};
use testkit::{Answer, SmtpTalk, wait_until};

use super::{DOMAIN, Fleet, PASSWORD};

/// A message with a header and one line of text.
pub(crate) fn letter(subject: &str) -> String {
    format!("From: <alice@{DOMAIN}>\r\nSubject: {subject}\r\n\r\nHello.\r\n")
}

impl Fleet {
    /// Submits a message as `alice`, for recipients such as `bob` or `jo@far.test`; all must be taken.
    pub(crate) async fn submit(&self, to: &[&str], content: &str) {
        self.submit_bytes(to, content.as_bytes()).await;
    }

    /// Submits a message that isn't text.
    pub(crate) async fn submit_bytes(&self, to: &[&str], content: &[u8]) {
        let mut client = self.mail_client("alice").await;
        submit_over(&mut client, to, content).await;
        client.quit().await;
    }

    /// A mail client's connection: STARTTLS, and logged in.
    pub(crate) async fn mail_client(&self, name: &str) -> ClientConnection {
        let options = ClientOptions::new(Config::new(Domain::parse("client.test").unwrap()));
        let address = self.submission_address();
        let client = ClientConnection::connect(address, "localhost", &options).await;
        let mut client = client.unwrap();
        let login = address_of(name).to_string();
        client.authenticate(&login, PASSWORD).await.unwrap();
        client
    }

    /// A connection to submission that says what it is told, in TLS and logged in as `alice`.
    pub(crate) async fn talk_as_alice(&self) -> SmtpTalk {
        let mut talk = self.talk_in_tls().await;
        talk.login(&format!("alice@{DOMAIN}"), PASSWORD, 235).await;
        talk
    }

    /// A connection to submission that says what it is told, in TLS.
    pub(crate) async fn talk_in_tls(&self) -> SmtpTalk {
        let talk = SmtpTalk::hello(self.submission_address()).await;
        let mut talk = talk.starttls().await;
        talk.command("EHLO client.test", 250).await;
        talk
    }

    /// A connection of another server, which has said EHLO.
    pub(crate) async fn talk(&self) -> SmtpTalk {
        SmtpTalk::hello(self.relay_address()).await
    }

    /// Sends a message as another server does, and returns the answer to its final dot.
    pub(crate) async fn inject(&self, from: &str, to: &[&str], content: &str) -> Answer {
        self.talk().await.send_message(from, to, content).await
    }

    /// Waits until submission knows that a destination is suspended.
    pub(crate) async fn suspension_is_known(&self, domain: &str) {
        let destination = queue::DestinationKey {
            tenant: self.tenant,
            domain: domain.to_owned(),
        };
        wait_until("the suspension to be known", async || {
            self.submission.hand_off.is_suspended(&destination)
        })
        .await;
    }

    /// Waits until submission hands mail off to a relay.
    pub(crate) async fn hand_off_stands(&self) {
        let hand_off = &self.submission.hand_off;
        let request = rpc::hand_off::CreditRequest {
            tenant: self.tenant,
            units: 1,
            size: 1,
        };
        wait_until("the hand-off", async || {
            hand_off.try_credit(&request).is_some()
        })
        .await;
    }
}

/// Submits a message over a connection; all recipients must be taken.
pub(crate) async fn submit_over(
    client: &mut ClientConnection,
    to: &[&str],
    content: impl AsRef<[u8]>,
) {
    let content = content.as_ref();
    let recipients: Vec<Mailbox> = to.iter().map(|name| address_of(name)).collect();
    let transaction = OutboundTransaction {
        reverse_path: &ReversePath::Mailbox(address_of("alice")),
        recipients: &recipients,
        body: if content.is_ascii() {
            Body::SevenBit
        } else {
            Body::EightBitMime
        },
        content: &[Bytes::copy_from_slice(content)],
    };
    let results = client.send(&transaction, &|| true).await.unwrap();
    for result in results {
        assert!(matches!(result, RecipientResult::Accepted(_)), "{result:?}");
    }
}

/// A transaction from alice to bob, up to the point where the content may come.
pub(crate) async fn begin_data(talk: &mut SmtpTalk) {
    talk.command("MAIL FROM:<alice@example.test>", 250).await;
    talk.command("RCPT TO:<bob@example.test>", 250).await;
    talk.command("DATA", 354).await;
}

/// The content, which has no line that starts with a dot, and the answer to the final dot.
pub(crate) async fn end_data(talk: &mut SmtpTalk, content: &str) -> Answer {
    talk.send(format!("{content}.\r\n").as_bytes()).await;
    talk.answer().await
}

/// An address; a bare name is a local one.
fn address_of(name: &str) -> Mailbox {
    let address = if name.contains('@') {
        name.to_owned()
    } else {
        format!("{name}@{DOMAIN}")
    };
    Mailbox::parse(&address).unwrap()
}
