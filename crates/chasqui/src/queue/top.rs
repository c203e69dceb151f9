//! `chasqui queue top`

use ::queue::{DestinationLoad, Tenant, TopOrder};
use clap::{Args, ValueEnum};
use serde::Serialize;
use time::OffsetDateTime;

use super::shortened;
use crate::database::DatabaseArguments;
use crate::failure::Failure;
use crate::output::{Cell, Output, Tint, When, ago, ahead};

#[derive(Debug, Args)]
pub(crate) struct TopArguments {
    /// What comes first: the most units, or the oldest message
    #[arg(long, value_name = "ORDER", default_value = "units")]
    by: Order,
    /// Only mail of this tenant
    #[arg(long, value_name = "NUMBER")]
    tenant: Option<i64>,
    /// At most so many destinations
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Order {
    Units,
    Age,
}

#[derive(Serialize)]
struct Row {
    tenant: i64,
    domain: String,
    units: i64,
    recipients: i64,
    ready: i64,
    leased: i64,
    deferred: i64,
    held: i64,
    /// When the oldest message was accepted.
    oldest_at: When,
    last_attempt_at: Option<When>,
    /// What was said to the last attempt.
    last_reply: Option<String>,
    /// When the destination is tried again, while it is suspended.
    suspended_until: Option<When>,
    /// Failures of the destination in a row.
    failures: i32,
    /// Why it is suspended.
    suspension: Option<String>,
}

impl From<DestinationLoad> for Row {
    fn from(load: DestinationLoad) -> Self {
        let is_suspended = load.suspended_until.is_some();
        Self {
            tenant: load.destination.tenant.0,
            domain: load.destination.domain,
            units: load.units,
            recipients: load.recipients,
            ready: load.ready,
            leased: load.leased,
            deferred: load.deferred,
            held: load.held,
            oldest_at: When(load.oldest_at),
            last_attempt_at: load.last_attempt_at.map(When),
            last_reply: load.last_reply,
            suspended_until: load.suspended_until.map(When),
            failures: load.failures,
            suspension: load.suspension.filter(|_| is_suspended),
        }
    }
}

pub(crate) async fn run(
    arguments: TopArguments,
    database: &DatabaseArguments,
    output: Output,
) -> Result<(), Failure> {
    let order = match arguments.by {
        Order::Units => TopOrder::Units,
        Order::Age => TopOrder::Age,
    };
    let queue = database.queue().await?;
    let tenant = arguments.tenant.map(Tenant);
    let loads = queue.top(tenant, order, arguments.limit).await?;
    let rows: Vec<Row> = loads.into_iter().map(Row::from).collect();
    let headings = [
        "DESTINATION",
        "TENANT",
        "UNITS",
        "RECIPIENTS",
        "READY",
        "LEASED",
        "DEFERRED",
        "HELD",
        "OLDEST",
        "SUSPENDED",
        "LAST ERROR",
    ];
    output.rows(&rows, "the queue is empty", headings, cells)
}

fn cells(row: &Row) -> [Cell; 11] {
    let error = row.suspension.as_ref().or(row.last_reply.as_ref());
    [
        Cell::new(row.domain.clone(), Tint::Strong),
        row.tenant.to_string().into(),
        row.units.to_string().into(),
        row.recipients.to_string().into(),
        row.ready.to_string().into(),
        row.leased.to_string().into(),
        tinted(row.deferred, Tint::Doubtful),
        tinted(row.held, Tint::Bad),
        ago(row.oldest_at.0).into(),
        suspended(row),
        shortened(error.map_or("", String::as_str)).into(),
    ]
}

fn tinted(number: i64, tint: Tint) -> Cell {
    Cell::new(
        number.to_string(),
        if number > 0 { tint } else { Tint::Plain },
    )
}

/// How long still, and after how many failures.
fn suspended(row: &Row) -> Cell {
    let Some(until) = row.suspended_until else {
        return Cell::default();
    };
    let left = if until.0 > OffsetDateTime::now_utc() {
        ahead(until.0)
    } else {
        "probing".to_owned()
    };
    Cell::new(format!("{left}, {} failed", row.failures), Tint::Bad)
}
