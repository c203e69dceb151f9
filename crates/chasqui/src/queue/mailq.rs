//! `chasqui mailq`, and `mailq`: the queue as sendmail and Postfix print it.

use std::fmt::Write as _;

use clap::Args;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::list::{cut, fetch, remark_more};
use super::selection::Filters;
use super::unit::UnitRow;
use crate::database::DatabaseArguments;
use crate::failure::Failure;
use crate::output::{Output, visible};

/// As ctime(3) has it, less the year.
const ARRIVAL: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second]"
);
/// Where sender and recipients stand: after id, size and arrival time.
const INDENT: usize = 70;

/// `chasqui mailq`.
#[derive(Debug, Args)]
pub(crate) struct MailqCommand {
    #[command(flatten)]
    filters: Filters,
    /// At most so many units (a message has one for each recipient domain)
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(command: MailqCommand) -> Result<(), Failure> {
    let queue = command.database.queue().await?;
    // One more than is shown tells whether there are more.
    let most = command.limit.saturating_add(1);
    let mut rows = fetch(&queue, &command.filters, most, |_| true).await?;
    let has_more = cut(&mut rows, command.limit);
    command.output.one(&rows, || in_words(&rows))?;
    if has_more {
        remark_more(command.output, command.limit);
    }
    Ok(())
}

/// Prints what was chosen by `queue list`.
pub(crate) fn print(rows: &[UnitRow], output: Output) -> Result<(), Failure> {
    output.one(&rows, || in_words(rows))
}

fn in_words(rows: &[UnitRow]) -> String {
    if rows.is_empty() {
        return "Mail queue is empty".to_owned();
    }
    let mut text = format!(
        "{:<38}{:>9} {:<20} {}\n",
        "-Queue ID-", "--Size--", "----Arrival Time----", "-Sender/Recipient-------"
    );
    let messages: Vec<&[UnitRow]> = rows
        .chunk_by(|one, other| one.queue_id == other.queue_id)
        .collect();
    let mut octets = 0;
    for units in &messages {
        octets += units.first().map_or(0, |unit| unit.size);
        add_message(&mut text, units);
        text.push('\n');
    }
    let requests = if messages.len() == 1 {
        "Request"
    } else {
        "Requests"
    };
    // Writing to a text cannot fail.
    let _ = write!(
        text,
        "-- {} Kbytes in {} {requests}.",
        octets.div_ceil(1_024),
        messages.len()
    );
    text
}

fn add_message(text: &mut String, units: &[UnitRow]) {
    let Some(first) = units.first() else {
        return;
    };
    let id = format!("{}{}", first.queue_id, mark(units));
    // Writing to a text cannot fail.
    let _ = writeln!(
        text,
        "{id:<38}{:>9} {:<20} {}",
        first.size,
        arrival(first.accepted_at.0),
        visible(&mailer_daemon(first)),
    );
    for unit in units {
        let reason = unit.reason();
        if !reason.is_empty() {
            let _ = writeln!(
                text,
                "{:>width$}",
                format!("({})", visible(&reason)),
                width = INDENT
            );
        }
        for recipient in &unit.recipients {
            let _ = writeln!(
                text,
                "{:width$}{}",
                "",
                visible(recipient),
                width = INDENT - 1
            );
        }
    }
}

/// Postfix's marks: `*` some of it is being sent, `!` all of it is held.
fn mark(units: &[UnitRow]) -> &'static str {
    if units.iter().any(|unit| unit.state == "leased") {
        "*"
    } else if units.iter().all(|unit| unit.state == "held") {
        "!"
    } else {
        ""
    }
}

/// Whom the null reverse-path stands for in this listing.
fn mailer_daemon(unit: &UnitRow) -> String {
    if unit.reverse_path.is_empty() {
        "MAILER-DAEMON".to_owned()
    } else {
        unit.reverse_path.clone()
    }
}

fn arrival(at: OffsetDateTime) -> String {
    // This format has nothing that could fail.
    at.to_offset(UtcOffset::UTC)
        .format(ARRIVAL)
        .unwrap_or_default()
}
