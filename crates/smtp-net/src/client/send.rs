//! One transaction over an open connection.

use std::io;
use std::time::Instant;

use bytes::Bytes;
use smtp::client::content::{ContentError, Encoder};
use smtp::client::{Ending, Event, NotBegun, RecipientResult, Stage, Transaction};
use smtp::{Body, Mailbox, ReversePath};
use thiserror::Error;

use super::ClientConnection;
use crate::outgoing::Outgoing;
use crate::wire::{Received, Sent};

/// What to send, to whom.
#[derive(Clone, Copy, Debug)]
pub struct OutboundTransaction<'a> {
    /// Where failures are reported to.
    pub reverse_path: &'a ReversePath,
    /// Who gets the message.
    pub recipients: &'a [Mailbox],
    /// Whether the content has octets above 127.
    pub body: Body,
    /// The content in consecutive parts: trace fields and the message, say. It is not copied.
    pub content: &'a [Bytes],
}

/// Why nothing was sent: no recipient was decided, and the server has not taken the message for
/// any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotSent {
    /// The server does not fit the message, or the connection cannot begin a transaction. The
    /// connection is as it was.
    #[error(transparent)]
    NotBegun(#[from] NotBegun),
    /// The content must not go on the wire. The connection is as it was.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The fence went down before the final dot. The connection is gone.
    #[error("the lease was no longer certain before the final dot")]
    Fenced,
}

impl ClientConnection {
    /// Sends one message. The results are in the order of the recipients.
    ///
    /// `fence` is asked right before the final dot is written; false abandons the transaction and
    /// the connection, so that the server takes nothing.
    ///
    /// # Errors
    /// [`NotSent`], of which [`NotBegun::Unsupported8Bit`] and [`NotBegun::TooLarge`] are the
    /// server's limits, told before MAIL.
    pub async fn send(
        &mut self,
        transaction: &OutboundTransaction<'_>,
        fence: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<RecipientResult>, NotSent> {
        let mut content = Encoder::new(transaction.content.iter().cloned())?;
        let commands = Transaction {
            reverse_path: transaction.reverse_path,
            recipients: transaction.recipients,
            body: transaction.body,
            size: content.size(),
        };
        self.session.begin(&commands, Instant::now())?;
        self.transactions += 1;
        let mut results = None;
        while results.is_none()
            && let Some(event) = self.next_event().await
        {
            match event {
                Event::SendContent => self.send_content(&mut content, fence).await?,
                Event::TransactionDone(done) => results = Some(done.recipients),
                _ => {}
            }
        }
        // A session always tells; if it ever didn't, nobody would know who has the message.
        let unknown = RecipientResult::Interrupted {
            stage: Stage::FinalDot,
            ending: Ending::Disconnected,
        };
        Ok(results.unwrap_or_else(|| vec![unknown; transaction.recipients.len()]))
    }

    /// Writes all of the content and the final dot. A server that refuses half-way is heard, and
    /// whatever ends the session ends the writing.
    async fn send_content(
        &mut self,
        content: &mut Encoder,
        fence: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), NotSent> {
        let mut outgoing = Outgoing::default();
        for mut chunk in content {
            while !chunk.is_empty() {
                if outgoing.is_full() {
                    self.write(&mut outgoing, &|| true).await;
                    if self.session.is_closed() {
                        return Ok(());
                    }
                }
                outgoing.take_from(&mut chunk);
            }
        }
        // The last block takes the dot along, so that a small message is one write; it is not
        // touched once the fence is down, not even after waiting for the far end's window.
        self.session.content_sent(Instant::now());
        outgoing.push(self.session.take_output());
        if self.write(&mut outgoing, fence).await {
            return Ok(());
        }
        self.wire.cut();
        self.session.abandon();
        Err(NotSent::Fenced)
    }

    /// Writes a block within its deadline, and listens meanwhile. False if the gate was closed.
    async fn write(&mut self, block: &mut Outgoing, gate: &(dyn Fn() -> bool + Sync)) -> bool {
        let deadline = Instant::now() + self.timeouts.data_block;
        while !self.session.is_closed() {
            let session = &mut self.session;
            let feed = |octets: &[u8]| session.feed(octets, Instant::now());
            match self.wire.send_block(block, deadline, gate, feed).await {
                Ok(Sent::All) => return true,
                Ok(Sent::Held) => return false,
                Ok(Sent::Heard(Received::End)) => self.session.disconnected(),
                Ok(Sent::Heard(_)) => {}
                Err(error) => self.broken_off(&error).await,
            }
        }
        true
    }

    async fn broken_off(&mut self, error: &io::Error) {
        self.hear_last_words().await;
        self.lost(error);
    }
}
