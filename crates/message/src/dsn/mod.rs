//! Delivery status notifications: telling a sender what became of the mail (RFC 3464).
//!
//! A notification is a `multipart/report` (RFC 6522) of three parts: words for a human, fields
//! for a program, and the original's header or the original itself. It is ASCII throughout, with
//! short lines, so that it passes every server on its way back. The same input gives the same
//! octets.

mod advice;
mod notice;
mod original;
mod quoted_printable;
mod report;

use std::fmt::Write as _;

use smtp::{EnhancedStatus, Mailbox, Reply};
use time::OffsetDateTime;

pub use original::Original;

use crate::date::date_time;
use crate::header::Header;
use crate::text::{printable, word};

/// Longest Message-ID of an original that is referred to, in octets.
const MAX_MESSAGE_ID: usize = 500;

/// What is reported of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Refused for good.
    Failed,
    /// Given up after trying in vain for as long as mail is kept.
    Expired,
    /// Not delivered yet; tried again until the given time.
    Delayed {
        /// When the message expires.
        until: OffsetDateTime,
    },
}

/// A recipient that the message did not reach.
#[derive(Clone, Debug)]
pub struct FailedRecipient {
    /// The address, as given in the envelope.
    pub recipient: Mailbox,
    /// How it ended.
    pub action: Action,
    /// Why, for programs.
    pub status: EnhancedStatus,
    /// What the far end said, if it said anything.
    pub diagnostic: Option<Reply>,
    /// The host that said it: a name, or an address in brackets.
    pub remote_mta: Option<String>,
    /// When delivery was last tried; none if it never was.
    pub last_attempt: Option<OffsetDateTime>,
    /// Why, in our own words: a clause without a full stop.
    pub detail: String,
}

/// A notification to be written.
#[derive(Clone, Copy, Debug)]
pub struct Dsn<'a> {
    /// The id of the notification itself; its Message-ID and its boundary derive from it.
    pub id: &'a str,
    /// The time of its Date field.
    pub at: OffsetDateTime,
    /// Its author, usually `MAILER-DAEMON@` this host.
    pub from: &'a Mailbox,
    /// Its recipient: the reverse-path of the original. There is none to a null reverse-path
    /// (RFC 5321 §4.5.5), which is for the caller to see to.
    pub to: &'a Mailbox,
    /// The name of this host.
    pub reporting_mta: &'a str,
    /// The queue id of the original.
    pub queue_id: &'a str,
    /// The ENVID of the original, decoded (RFC 3461 §4.4).
    pub envelope_id: Option<&'a str>,
    /// When the original was accepted.
    pub arrival: OffsetDateTime,
    /// The recipients reported on: at least one.
    pub recipients: &'a [FailedRecipient],
    /// What is sent back of the original.
    pub original: Original<'a>,
}

impl Dsn<'_> {
    /// The whole message: ASCII, lines of at most 998 octets, each ended by CRLF.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let original = self.original.part();
        let boundary = self.boundary(&original);
        let mut message = String::with_capacity(4_096 + original.len());
        self.write_header(&mut message, &boundary);
        for part in [notice::part(self), report::part(self), original] {
            // Writing to a String cannot fail.
            let _ = write!(message, "\r\n--{boundary}\r\n{part}");
        }
        let _ = write!(message, "\r\n--{boundary}--\r\n");
        message.into_bytes()
    }

    fn write_header(&self, message: &mut String, boundary: &str) {
        let is_final = self.recipients.iter().any(FailedRecipient::is_final);
        let subject = if is_final {
            "Undelivered mail returned to sender"
        } else {
            "Delayed mail (still being tried)"
        };
        let host = word(self.reporting_mta, 255);
        // Writing to a String cannot fail.
        let _ = write!(
            message,
            "From: Mail Delivery System <{}>\r\nTo: <{}>\r\nSubject: {subject}\r\nDate: {}\r\n\
             Message-ID: <{}@{host}>\r\n",
            self.from,
            self.to,
            date_time(self.at),
            word(self.id, 100),
        );
        if let Some(id) = self.original_message_id() {
            let _ = write!(message, "In-Reply-To: {id}\r\nReferences: {id}\r\n");
        }
        // RFC 3834 §5: keeps automatic replies from answering.
        message.push_str("Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
        let _ = write!(
            message,
            "Content-Type: multipart/report; report-type=delivery-status;\r\n\
             \tboundary=\"{boundary}\"\r\n"
        );
    }

    /// The original's Message-ID, so that mail programs show the notification in its thread.
    fn original_message_id(&self) -> Option<String> {
        let header = Header::of(self.original.content());
        let field = header.named("Message-ID").next()?;
        let id = std::str::from_utf8(&field.unfolded()).ok()?.to_owned();
        let is_fine = id.starts_with('<')
            && id.ends_with('>')
            && id.len() <= MAX_MESSAGE_ID
            && id.bytes().all(|byte| byte.is_ascii_graphic());
        is_fine.then_some(id)
    }

    /// A boundary that does not occur in what is sent back (RFC 2046 §5.1.1). `=_` occurs in no
    /// encoded text, so only an original sent back as it is can hold it.
    fn boundary(&self, original: &str) -> String {
        let mut boundary: String = word(self.id, 50)
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        boundary.insert_str(0, "=_");
        while original.contains(&boundary) {
            boundary.push('_');
        }
        boundary
    }
}

impl FailedRecipient {
    /// Whether nothing more will be tried.
    fn is_final(&self) -> bool {
        !matches!(self.action, Action::Delayed { .. })
    }

    /// The far end's words on one line, ASCII, cut to a sane length.
    fn diagnostic_text(&self) -> Option<String> {
        let reply = self.diagnostic.as_ref()?;
        Some(printable(&reply.to_string(), 900))
    }

    /// Our words on one line, ASCII, cut to a sane length.
    fn detail_text(&self) -> String {
        printable(&self.detail, 500)
    }
}

#[cfg(test)]
mod tests;
