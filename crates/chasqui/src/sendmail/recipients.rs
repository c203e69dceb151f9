//! Who gets the message.

use std::collections::HashSet;

use mail_parser::{HeaderName, HeaderValue, Message, MessageParser};
use smtp::Mailbox;

use super::arguments::SendmailCommand;
use super::error::SendmailError;
use super::settings::Settings;

const FIELDS: [HeaderName<'static>; 3] = [HeaderName::To, HeaderName::Cc, HeaderName::Bcc];
/// When a message is sent on, these count, and the others tell of the first time (RFC 5322 §3.6.6).
const RESENT_FIELDS: [HeaderName<'static>; 3] = [
    HeaderName::ResentTo,
    HeaderName::ResentCc,
    HeaderName::ResentBcc,
];

/// Those of the command line and, with `-t`, those of the header; each once.
pub(super) fn all(
    command: &SendmailCommand,
    content: &[u8],
    settings: &Settings,
) -> Result<Vec<Mailbox>, SendmailError> {
    let mut addresses: Vec<String> = command.recipients.clone();
    if command.from_header {
        addresses.extend(in_header(content));
    }
    if addresses.is_empty() {
        return Err(SendmailError::NobodyInHeader);
    }
    let mailboxes: Result<Vec<Mailbox>, _> = addresses
        .iter()
        .map(|address| settings.mailbox(address))
        .collect();
    let mut mailboxes = mailboxes?;
    let mut seen = HashSet::new();
    mailboxes.retain(|mailbox| seen.insert(mailbox.to_string()));
    Ok(mailboxes)
}

fn in_header(content: &[u8]) -> Vec<String> {
    let Some(message) = MessageParser::default().parse_headers(content) else {
        return Vec::new();
    };
    let resent = in_fields(&message, &RESENT_FIELDS);
    if resent.is_empty() {
        in_fields(&message, &FIELDS)
    } else {
        resent
    }
}

fn in_fields(message: &Message<'_>, names: &[HeaderName<'_>]) -> Vec<String> {
    let fields = message.headers().iter();
    fields
        .filter(|field| names.contains(&field.name))
        .filter_map(|field| match &field.value {
            HeaderValue::Address(address) => Some(address),
            _ => None,
        })
        .flat_map(|address| address.iter())
        // A name of our own domain without @ is read as a display name.
        .filter_map(|address| address.address.as_deref().or(address.name.as_deref()))
        .map(str::to_owned)
        .collect()
}
