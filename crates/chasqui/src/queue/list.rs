//! `chasqui queue list`

use ::queue::{Queue, UnitPosition};
use clap::Args;
use time::OffsetDateTime;

use super::selection::Filters;
use super::unit::{Suspensions, UnitRow};
use super::{mailq, shortened};
use crate::age::Age;
use crate::database::DatabaseArguments;
use crate::failure::Failure;
use crate::output::{Cell, Output, ago, size};

/// How many units are fetched at once.
const PAGE: u32 = 1_000;
/// Fewer are not worth a statement when some of them may be of another age.
const LEAST_PAGE: u32 = 100;

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    filters: Filters,
    /// At most so many lines
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Only mail accepted longer ago than this, such as 2h
    #[arg(long, value_name = "AGE", value_parser = Age::parse)]
    older_than: Option<Age>,
    /// Only mail accepted since, such as 15m
    #[arg(long, value_name = "AGE", value_parser = Age::parse)]
    newer_than: Option<Age>,
    /// Print it as mailq and `postqueue -p` do
    #[arg(long)]
    mailq: bool,
}

impl ListArguments {
    /// Whether the filters leave nothing out.
    fn is_everything(&self) -> bool {
        self.filters.is_empty() && self.older_than.is_none() && self.newer_than.is_none()
    }

    /// Whether a message that was accepted then is meant.
    fn ages(&self) -> impl Fn(OffsetDateTime) -> bool + use<> {
        let now = OffsetDateTime::now_utc();
        let before = self.older_than.map(|age| age.before(now));
        let since = self.newer_than.map(|age| age.before(now));
        move |accepted_at| {
            before.is_none_or(|before| accepted_at < before)
                && since.is_none_or(|since| accepted_at >= since)
        }
    }
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
        arguments.ages(),
    )
    .await?;
    let has_more = cut(&mut rows, arguments.limit);

    let none = if arguments.is_everything() {
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
    if arguments.mailq {
        mailq::print(&rows, output)?;
    } else {
        output.rows(&rows, none, headings, cells)?;
    }
    if has_more {
        remark_more(output, arguments.limit);
    }
    Ok(())
}

/// Leaves so many rows; whether there were more.
pub(crate) fn cut(rows: &mut Vec<UnitRow>, limit: u32) -> bool {
    let limit = limit as usize;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    has_more
}

pub(crate) fn remark_more(output: Output, limit: u32) {
    output.remark(format_args!(
        "there is more than these {limit}: --limit shows more"
    ));
}

/// The first units that fit the filters and whose message was accepted when it is asked for.
pub(crate) async fn fetch(
    queue: &Queue,
    filters: &Filters,
    limit: u32,
    ages: impl Fn(OffsetDateTime) -> bool,
) -> Result<Vec<UnitRow>, Failure> {
    let suspensions = Suspensions::fetch(queue).await?;
    let mut rows: Vec<UnitRow> = Vec::new();
    for filter in filters.to_queue() {
        let mut after = None;
        loop {
            let missing = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
            if missing == 0 {
                return Ok(rows);
            }
            let page = queue
                .list(&filter, after, missing.clamp(LEAST_PAGE, PAGE))
                .await?;
            let Some(last) = page.last() else {
                break;
            };
            after = Some(UnitPosition(last.unit));
            let meant = page.into_iter().filter(|unit| ages(unit.accepted_at));
            let meant = meant.take(missing as usize);
            rows.extend(meant.map(|unit| suspensions.row(unit)));
        }
    }
    Ok(rows)
}

fn cells(row: &UnitRow) -> [Cell; 9] {
    let mut recipients = row.recipients.first().cloned().unwrap_or_default();
    if row.recipients.len() > 1 {
        recipients.push_str(&format!(" and {} more", row.recipients.len() - 1));
    }
    [
        row.queue_id.clone().into(),
        row.state_cell(),
        ago(row.accepted_at.0).into(),
        size(row.size).into(),
        row.attempts.to_string().into(),
        row.next_try().into(),
        row.sender().into(),
        recipients.into(),
        shortened(&row.reason()).into(),
    ]
}
