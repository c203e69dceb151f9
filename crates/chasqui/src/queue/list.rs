//! `chasqui queue list`

use ::queue::{Queue, UnitPosition};
use clap::Args;

use super::selection::Filters;
use super::unit::{Suspensions, UnitRow};
use crate::database::DatabaseArguments;
use crate::failure::Failure;
use crate::output::{Output, ago, size};

/// How many units are fetched at once.
const PAGE: u32 = 1_000;
/// Longest reply that a table shows, in characters; `queue show` has all of it.
const MAX_REPLY: usize = 60;

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    filters: Filters,
    /// At most so many lines
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

pub(crate) async fn run(
    arguments: ListArguments,
    database: &DatabaseArguments,
    output: Output,
) -> Result<(), Failure> {
    let queue = database.queue().await?;
    // One more than is shown tells whether there are more.
    let mut rows = fetch(
        &queue,
        &arguments.filters,
        arguments.limit.saturating_add(1),
    )
    .await?;
    let limit = arguments.limit as usize;
    let has_more = rows.len() > limit;
    rows.truncate(limit);

    let none = if arguments.filters.is_empty() {
        "the queue is empty"
    } else {
        "nothing in the queue fits"
    };
    let headings = [
        "QUEUE ID",
        "STATE",
        "AGE",
        "SIZE",
        "TRIES",
        "NEXT TRY",
        "SENDER",
        "RECIPIENTS",
        "WHY",
    ];
    output.rows(&rows, none, headings, cells)?;
    if has_more {
        output.remark(format_args!(
            "there is more than these {limit}: --limit shows more"
        ));
    }
    Ok(())
}

async fn fetch(queue: &Queue, filters: &Filters, limit: u32) -> Result<Vec<UnitRow>, Failure> {
    let suspensions = Suspensions::fetch(queue).await?;
    let mut rows: Vec<UnitRow> = Vec::new();
    for filter in filters.to_queue() {
        let mut after = None;
        loop {
            let missing = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
            if missing == 0 {
                return Ok(rows);
            }
            let page = queue.list(&filter, after, missing.min(PAGE)).await?;
            let Some(last) = page.last() else {
                break;
            };
            after = Some(UnitPosition(last.unit));
            rows.extend(page.into_iter().map(|unit| suspensions.row(unit)));
        }
    }
    Ok(rows)
}

fn cells(row: &UnitRow) -> [String; 9] {
    let mut recipients = row.recipients.first().cloned().unwrap_or_default();
    if row.recipients.len() > 1 {
        recipients.push_str(&format!(" and {} more", row.recipients.len() - 1));
    }
    [
        row.queue_id.clone(),
        row.state.to_owned(),
        ago(row.accepted_at.0),
        size(row.size),
        row.attempts.to_string(),
        row.next_try(),
        row.sender(),
        recipients,
        shortened(&row.reason()),
    ]
}

fn shortened(reply: &str) -> String {
    if reply.chars().count() <= MAX_REPLY {
        return reply.to_owned();
    }
    let start: String = reply.chars().take(MAX_REPLY - 1).collect();
    format!("{start}…")
}
