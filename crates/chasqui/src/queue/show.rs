//! `chasqui queue show`

use std::fmt::Write as _;

use ::queue::{AttemptRecord, MessageDetail, QueueId};
use serde::Serialize;

use super::unit::{Suspensions, UnitRow};
use crate::database::DatabaseArguments;
use crate::failure::Failure;
use crate::output::{Output, When, ago, size, table, visible};

#[derive(Serialize)]
struct Message {
    queue_id: String,
    accepted_at: When,
    service: Option<String>,
    client: Option<String>,
    hello: Option<String>,
    login: Option<String>,
    tls: Option<String>,
    trace: String,
    units: Vec<UnitRow>,
    attempts: Vec<Attempt>,
}

#[derive(Serialize)]
struct Attempt {
    at: When,
    unit: i32,
    attempt: i32,
    node: String,
    recipients: Vec<String>,
    host: Option<String>,
    tls: Option<String>,
    outcome: String,
    status: String,
    reply: String,
    duration_ms: i64,
    fenced: bool,
}

impl Message {
    fn new(detail: MessageDetail, suspensions: &Suspensions) -> Self {
        let units = detail.units.into_iter();
        Self {
            queue_id: detail.queue_id.to_string(),
            accepted_at: When(detail.queue_id.created_at()),
            service: detail.service,
            client: detail.client,
            hello: detail.hello,
            login: detail.login,
            tls: detail.tls,
            trace: detail.trace,
            units: units.map(|unit| suspensions.row(unit)).collect(),
            attempts: detail.attempts.into_iter().map(Attempt::from).collect(),
        }
    }
}

impl From<AttemptRecord> for Attempt {
    fn from(record: AttemptRecord) -> Self {
        Self {
            at: When(record.at),
            unit: record.unit.number,
            attempt: record.attempt,
            node: record.node,
            recipients: record.recipients,
            host: record.host,
            tls: record.tls,
            outcome: record.outcome,
            status: record.status,
            reply: record.reply,
            duration_ms: record.duration_ms,
            fenced: record.fenced,
        }
    }
}

pub(crate) async fn run(
    queue_id: QueueId,
    database: &DatabaseArguments,
    output: Output,
) -> Result<(), Failure> {
    let queue = database.queue().await?;
    let detail = queue.show(queue_id).await?;
    let detail = detail.ok_or(Failure::NoSuchMessage(queue_id))?;
    let message = Message::new(detail, &Suspensions::fetch(&queue).await?);
    output.one(&message, || in_words(&message))
}

fn in_words(message: &Message) -> String {
    let mut text = head(message);
    text.push_str("\n\n");
    text.push_str(&queued(&message.units));
    text.push_str("\n\n");
    text.push_str(&tried(&message.attempts));
    text
}

fn head(message: &Message) -> String {
    let mut lines = vec![("message", message.queue_id.clone())];
    let accepted = &message.accepted_at;
    let age = ago(accepted.0);
    let by = message.service.as_ref();
    let by = by.map_or(String::new(), |service| format!(" by {service}"));
    lines.push(("accepted", format!("{accepted}{by}, {age} ago")));
    if let Some(unit) = message.units.first() {
        lines.push(("sender", unit.sender()));
        lines.push(("size", size(unit.size)));
    }
    for (name, value) in [
        ("client", &message.client),
        ("hello", &message.hello),
        ("login", &message.login),
        ("tls", &message.tls),
    ] {
        lines.extend(value.iter().map(|value| (name, value.clone())));
    }
    lines.push(("trace", message.trace.clone()));
    let mut text = String::new();
    for (name, value) in lines {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{name:<9} {}", visible(&value));
    }
    text.trim_end().to_owned()
}

fn queued(units: &[UnitRow]) -> String {
    if units.is_empty() {
        return "nothing of it is queued any more".to_owned();
    }
    let headings = [
        "UNIT",
        "STATE",
        "RECIPIENTS",
        "TRIES",
        "NEXT TRY",
        "GIVEN UP",
        "HOLDER",
        "WHY",
    ];
    let rows = units.iter().map(|unit| {
        [
            unit.unit.to_string(),
            unit.state.to_owned(),
            unit.recipients.join(", "),
            unit.attempts.to_string(),
            unit.next_try(),
            unit.expires_at.to_string(),
            unit.holder.map_or("-".to_owned(), |id| id.to_string()),
            unit.reason(),
        ]
    });
    table(headings, rows)
}

fn tried(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return "it has not been tried yet".to_owned();
    }
    let headings = [
        "TRIED AT",
        "UNIT",
        "TRY",
        "RECIPIENTS",
        "OUTCOME",
        "STATUS",
        "HOST",
        "TLS",
        "NODE",
        "TOOK",
        "REPLY",
    ];
    let rows = attempts.iter().map(|attempt| {
        let outcome = &attempt.outcome;
        [
            attempt.at.to_string(),
            attempt.unit.to_string(),
            attempt.attempt.to_string(),
            attempt.recipients.join(", "),
            if attempt.fenced {
                format!("{outcome} (not its lease any more)")
            } else {
                outcome.clone()
            },
            attempt.status.clone(),
            attempt.host.clone().unwrap_or_default(),
            attempt.tls.clone().unwrap_or_default(),
            attempt.node.clone(),
            format!("{} ms", attempt.duration_ms),
            attempt.reply.clone(),
        ]
    });
    table(headings, rows)
}
