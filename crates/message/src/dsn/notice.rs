//! The first part: words for a human.

use std::fmt::{self, Write as _};

use super::advice::advice;
use super::{Action, Dsn, FailedRecipient};
use crate::date::date_time;
use crate::text::{word, wrap_into};

const WIDTH: usize = 74;
const INDENTED_BREAK: &str = "\r\n    ";

/// The part with its own header, without the boundary.
pub(super) fn part(dsn: &Dsn<'_>) -> String {
    let mut text = String::from("Content-Type: text/plain; charset=us-ascii\r\n\r\n");
    // Writing to a String cannot fail.
    let _ = write_notice(&mut text, dsn);
    text
}

fn write_notice(text: &mut String, dsn: &Dsn<'_>) -> fmt::Result {
    let host = word(dsn.reporting_mta, 255);
    write!(text, "This is the mail system at {host}.\r\n\r\n")?;
    let (given_up, delayed): (Vec<_>, Vec<_>) = dsn
        .recipients
        .iter()
        .partition(|recipient| recipient.is_final());
    let sent = date_time(dsn.arrival);
    if !given_up.is_empty() {
        let opening = format!(
            "Your message of {sent} could not be delivered to the recipients below. \
             It will not be tried again."
        );
        write_group(text, &opening, &given_up)?;
    }
    if !delayed.is_empty() {
        let opening = format!(
            "Your message of {sent} could not be delivered yet to the recipients below. \
             It is being tried again; there is nothing you need to do."
        );
        write_group(text, &opening, &delayed)?;
    }
    let id = word(dsn.queue_id, 100);
    write!(
        text,
        "A report for mail programs and a copy of your message or of its header are\r\n\
         attached. If you ask for help, give this id: {id}\r\n"
    )
}

fn write_group(text: &mut String, opening: &str, recipients: &[&FailedRecipient]) -> fmt::Result {
    wrap_into(text, opening, WIDTH, "\r\n");
    text.push_str("\r\n\r\n");
    recipients
        .iter()
        .try_for_each(|recipient| write_recipient(text, recipient))
}

fn write_recipient(text: &mut String, recipient: &FailedRecipient) -> fmt::Result {
    write!(text, "<{}>", recipient.recipient)?;
    let mut paragraph = |line: &str| {
        text.push_str(INDENTED_BREAK);
        wrap_into(text, line, WIDTH, INDENTED_BREAK);
    };
    let detail = recipient.detail_text();
    match recipient.action {
        Action::Failed => paragraph(&format!("{detail}.")),
        Action::Expired => paragraph(&format!("Given up after trying for a long time: {detail}.")),
        Action::Delayed { until } => {
            paragraph(&format!(
                "{detail}. Tried again until {}.",
                date_time(until)
            ));
        }
    }
    if let Some(reply) = recipient.diagnostic_text() {
        let host = recipient.remote_mta.as_deref().unwrap_or("the mail server");
        paragraph(&format!("{} said: {reply}", word(host, 255)));
    }
    if recipient.is_final() {
        paragraph(advice(recipient.status));
    }
    text.write_str("\r\n\r\n")
}
