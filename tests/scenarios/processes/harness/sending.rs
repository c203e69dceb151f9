//! One message at a time, and what the fleet says to it.

use testkit::{Answer, SmtpTalk};

use super::letters::letter;
use super::{ALICE, Fleet, PASSWORD, STRANGER};

impl Fleet {
    /// A mail client's connection to submission: in TLS, and logged in as `alice`.
    pub(crate) async fn mail_client(&self) -> SmtpTalk {
        let mut client = mail_client(self.submissions[0].smtp()).await;
        client.login(ALICE, PASSWORD, 235).await;
        client
    }

    /// Submits a message as `alice`.
    pub(crate) async fn submit(&self, to: &[&str], tag: &str) -> Answer {
        let mut client = self.mail_client().await;
        let answer = client.send_message(ALICE, to, &letter(tag, ALICE)).await;
        client.command("QUIT", 221).await;
        answer
    }

    /// Sends a message as another server does.
    pub(crate) async fn inject(&self, to: &[&str], tag: &str) -> Answer {
        let mut server = SmtpTalk::hello(self.relays[0].smtp()).await;
        let letter = letter(tag, STRANGER);
        let answer = server.send_message(STRANGER, to, &letter).await;
        server.command("QUIT", 221).await;
        answer
    }
}

/// A mail client's connection in TLS, not logged in yet.
pub(crate) async fn mail_client(address: std::net::SocketAddr) -> SmtpTalk {
    let mut client = SmtpTalk::hello(address).await.starttls().await;
    client.command("EHLO client.test", 250).await;
    client
}
