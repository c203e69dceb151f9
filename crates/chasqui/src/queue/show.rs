//! `chasqui queue show`

use std::fmt::Write as _;

use ::queue::{MessageDetail, QueueId};
use serde::Serialize;

use super::attempt::Attempt;
use super::unit::{Suspensions, UnitRow, sender};
use crate::database::DatabaseArguments;
use crate::failure::Failure;
use crate::output::{Cell, Output, When, ago, size, table, visible};

#[derive(Serialize)]
struct Message {
    queue_id: String,
    /// Without angle brackets; none where it is unknown or made of the queue id.
    message_id: Option<String>,
    /// Empty for the null path.
    reverse_path: String,
    accepted_at: When,
    service: Option<String>,
    client: Option<String>,
    hello: Option<String>,
    login: Option<String>,
    tls: Option<String>,
    trace: String,
    units: Vec<UnitRow>,
    attempts: Vec<Attempt>,
    /// The reports on its failures.
    notifications: Vec<String>,
}

impl Message {
    fn new(detail: MessageDetail, suspensions: &Suspensions) -> Self {
        let units = detail.units.into_iter();
        Self {
            queue_id: detail.queue_id.to_string(),
            message_id: detail.message_id,
            reverse_path: detail.reverse_path,
            accepted_at: When(detail.queue_id.created_at()),
            service: detail.service,
            client: detail.client,
            hello: detail.hello,
            login: detail.login,
            tls: detail.tls,
            trace: detail.trace,
            units: units.map(|unit| suspensions.row(unit)).collect(),
            attempts: detail.attempts.into_iter().map(Attempt::from).collect(),
            notifications: detail
                .notifications
                .iter()
                .map(QueueId::to_string)
                .collect(),
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
    lines.push(("sender", sender(&message.reverse_path)));
    if let Some(unit) = message.units.first() {
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
    if let Some(message_id) = &message.message_id {
        lines.push(("id", format!("<{message_id}>")));
    }
    lines.push(("trace", message.trace.clone()));
    for notification in &message.notifications {
        lines.push(("report", notification.clone()));
    }
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
    let rows = units.iter().map(|unit| -> [Cell; 8] {
        [
            unit.unit.to_string().into(),
            unit.state_cell(),
            unit.recipients.join(", ").into(),
            unit.attempts.to_string().into(),
            unit.next_try().into(),
            unit.expires_at.to_string().into(),
            unit.holder
                .map_or("-".to_owned(), |id| id.to_string())
                .into(),
            unit.reason().into(),
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
    let rows = attempts.iter().map(|attempt| -> [Cell; 11] {
        [
            attempt.at.to_string().into(),
            attempt.unit.to_string().into(),
            attempt.attempt.to_string().into(),
            attempt.recipients.join(", ").into(),
            attempt.outcome_cell(),
            attempt.status.clone().into(),
            attempt.host.clone().unwrap_or_default().into(),
            attempt.tls.clone().unwrap_or_default().into(),
            attempt.node.clone().into(),
            format!("{} ms", attempt.duration_ms).into(),
            attempt.reply.clone().into(),
        ]
    });
    table(headings, rows)
}
