//! One line for each event in a message's life, under the target `message`.
//!
//! The same keys everywhere, so that `grep queue_id=…` tells a message's story, and
//! `grep 'recipient=someone@example.org'` a recipient's. Never content, never secrets. What is
//! logged is counted as well, whatever the level.

use std::fmt::{self, Display, Write};
use std::net::IpAddr;
use std::time::Duration;

use tracing::{Level, enabled, info, warn};

use crate::telemetry::messages as counts;

const TARGET: &str = "message";

/// Recipients that an acceptance names; more are only counted.
const MAX_NAMED: usize = 20;
/// Longest text from a far end, in characters.
const MAX_TEXT: usize = 500;

/// What every line about a message has.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// The queue id.
    pub queue_id: &'a dyn Display,
    /// The reverse-path; `<>` for the null one.
    pub reverse_path: &'a dyn Display,
}

/// Where a message came from.
#[derive(Clone, Copy, Default)]
pub struct Source<'a> {
    /// Who accepted it: `submission`, `relay` or `delivery`.
    pub service: &'a str,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// What the client called itself in HELO or EHLO.
    pub hello: Option<&'a str>,
    /// The account that logged in.
    pub login: Option<&'a str>,
    /// TLS version and cipher.
    pub tls: Option<&'a str>,
    /// Octets of content, as stored.
    pub size: u64,
}

/// What came of a recipient in an attempt.
#[derive(Clone, Copy)]
pub struct Fate<'a> {
    /// Which recipient.
    pub recipient: &'a dyn Display,
    /// Where the attempt went, such as `mx.example.org[192.0.2.1]:25`; `none` if nowhere.
    pub next_hop: &'a dyn Display,
    /// Time since the message was accepted.
    pub delay: Duration,
    /// Enhanced status (RFC 3463).
    pub status: &'a dyn Display,
    /// What the far end said, or what we say when there was none.
    pub reply: &'a dyn Display,
}

/// A line about a recipient; a macro, because level and words of an event are fixed at its place.
macro_rules! fated {
    ($level:ident, $message:expr, $fate:expr, $event:literal) => {
        $level!(
            target: TARGET,
            queue_id = %$message.queue_id,
            reverse_path = %OneLine($message.reverse_path),
            recipient = %OneLine($fate.recipient),
            next_hop = %OneLine($fate.next_hop),
            delay_s = $fate.delay.as_secs_f64(),
            status = %$fate.status,
            reply = text($fate.reply),
            $event
        )
    };
}

/// A message is ours from now on: its COMMIT has succeeded.
pub fn accepted<R: Display>(message: &Message<'_>, source: &Source<'_>, recipients: &[R]) {
    counts::accepted(source.service, source.size);
    if !enabled!(target: TARGET, Level::INFO) {
        return;
    }
    info!(
        target: TARGET,
        queue_id = %message.queue_id,
        service = source.service,
        reverse_path = %OneLine(message.reverse_path),
        recipients = recipients.len(),
        recipient = %Named(recipients),
        size = source.size,
        client = source.client.map(tracing::field::display),
        hello = source.hello.map(|hello| text(&hello)),
        login = source.login.map(|login| text(&login)),
        tls = source.tls,
        "accepted"
    );
}

/// An attempt begins.
pub fn attempt(message: &Message<'_>, number: i32, next_hop: &dyn Display, recipients: usize) {
    info!(
        target: TARGET,
        queue_id = %message.queue_id,
        reverse_path = %OneLine(message.reverse_path),
        attempt = number,
        next_hop = %OneLine(next_hop),
        recipients,
        "attempt"
    );
}

/// The next hop has taken responsibility for a recipient.
pub fn delivered(message: &Message<'_>, fate: &Fate<'_>) {
    counts::delivered();
    fated!(info, message, fate, "delivered");
}

/// A recipient will be tried again.
pub fn deferred(message: &Message<'_>, fate: &Fate<'_>) {
    counts::deferred(&fate.status.to_string());
    fated!(info, message, fate, "deferred");
}

/// A recipient has failed for good; the sender is told, unless the reverse-path is null.
pub fn bounced(message: &Message<'_>, fate: &Fate<'_>) {
    counts::bounced(&fate.status.to_string());
    fated!(warn, message, fate, "bounced");
}

/// A recipient was tried for too long; the sender is told, unless the reverse-path is null.
pub fn expired(message: &Message<'_>, fate: &Fate<'_>) {
    counts::expired();
    fated!(warn, message, fate, "expired");
}

/// A route keeps a recipient's mail until it is released.
pub fn held(message: &Message<'_>, fate: &Fate<'_>) {
    counts::held();
    fated!(info, message, fate, "held");
}

/// A route has thrown a recipient's mail away; nobody is told.
pub fn discarded(message: &Message<'_>, fate: &Fate<'_>) {
    counts::discarded();
    fated!(info, message, fate, "discarded");
}

/// A recipient is refused to a client that keeps the message, for now or for good: nothing was
/// accepted, so nothing bounces.
pub fn rejected(message: &Message<'_>, fate: &Fate<'_>) {
    counts::rejected(&fate.status.to_string());
    fated!(info, message, fate, "rejected");
}

/// Something of a stranger's, made fit for a log line: whatever could break or fake one is replaced.
struct OneLine<'a>(&'a dyn Display);

impl Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            Filtered {
                to: f,
                room: MAX_TEXT
            },
            "{}",
            self.0
        )
    }
}

fn text(of: &dyn Display) -> String {
    OneLine(of).to_string()
}

struct Filtered<'a, 'b> {
    to: &'a mut fmt::Formatter<'b>,
    room: usize,
}

impl Write for Filtered<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars().take(self.room) {
            self.to.write_char(if c.is_control() { '?' } else { c })?;
            self.room -= 1;
        }
        Ok(())
    }
}

/// The first recipients, with commas between.
struct Named<'a, R>(&'a [R]);

impl<R: Display> Display for Named<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, recipient) in self.0.iter().take(MAX_NAMED).enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}", OneLine(recipient))?;
        }
        if self.0.len() > MAX_NAMED {
            f.write_str(",…")?;
        }
        Ok(())
    }
}
