//! The second part: fields for programs, `message/delivery-status` (RFC 3464 §2).

use std::fmt::{self, Write as _};

use super::{Action, Dsn, FailedRecipient};
use crate::date::date_time;
use crate::text::{printable, word, wrap_into};

const WIDTH: usize = 70;
/// RFC 5322 §2.2.3: unfolding takes out the CRLF alone, so what follows it must be the space that stood there.
const FOLD: &str = "\r\n ";

/// The part with its own header, without the boundary.
pub(super) fn part(dsn: &Dsn<'_>) -> String {
    let mut fields = String::from("Content-Type: message/delivery-status\r\n\r\n");
    // Writing to a String cannot fail.
    let _ = write_message_fields(&mut fields, dsn);
    for recipient in dsn.recipients {
        let _ = write_recipient_fields(&mut fields, recipient);
    }
    fields
}

/// RFC 3464 §2.2: what concerns the message as a whole.
fn write_message_fields(fields: &mut String, dsn: &Dsn<'_>) -> fmt::Result {
    if let Some(id) = dsn.envelope_id {
        write!(fields, "Original-Envelope-Id: {}\r\n", printable(id, 100))?;
    }
    write!(
        fields,
        "Reporting-MTA: dns; {}\r\nX-Chasqui-Queue-Id: {}\r\nArrival-Date: {}\r\n",
        word(dsn.reporting_mta, 255),
        word(dsn.queue_id, 100),
        date_time(dsn.arrival),
    )
}

/// RFC 3464 §2.3: what concerns one recipient, after an empty line.
fn write_recipient_fields(fields: &mut String, recipient: &FailedRecipient) -> fmt::Result {
    let action = match recipient.action {
        Action::Failed | Action::Expired => "failed",
        Action::Delayed { .. } => "delayed",
    };
    write!(
        fields,
        "\r\nFinal-Recipient: rfc822; {}\r\nAction: {action}\r\nStatus: {}\r\n",
        recipient.recipient, recipient.status
    )?;
    if let Some(host) = &recipient.remote_mta {
        write!(fields, "Remote-MTA: dns; {}\r\n", word(host, 255))?;
    }
    match recipient.diagnostic_text() {
        Some(reply) => write_folded(fields, &format!("Diagnostic-Code: smtp; {reply}")),
        // RFC 3464 §2.3.6: words that are no SMTP reply go under a type of our own.
        None => {
            let detail = recipient.detail_text();
            write_folded(fields, &format!("Diagnostic-Code: X-Chasqui; {detail}"));
        }
    }
    if let Some(at) = recipient.last_attempt {
        write!(fields, "Last-Attempt-Date: {}\r\n", date_time(at))?;
    }
    if let Action::Delayed { until } = recipient.action {
        write!(fields, "Will-Retry-Until: {}\r\n", date_time(until))?;
    }
    Ok(())
}

fn write_folded(fields: &mut String, field: &str) {
    wrap_into(fields, field, WIDTH, FOLD);
    fields.push_str("\r\n");
}
