//! `chasqui trace`: what became of a message, also when it is gone.

use std::fmt::Write as _;

use ::queue::{MessageDetail, Queue, QueueId, Search};
use clap::Args;
use serde::Serialize;
use time::OffsetDateTime;

use crate::age::Age;
use crate::database::DatabaseArguments;
use crate::failure::Failure;
use crate::output::{Cell, Output, When, heading, table, visible};
use crate::queue::attempt::Attempt;
use crate::queue::unit::{Suspensions, UnitRow, sender};

/// `chasqui trace`.
#[derive(Debug, Args)]
#[command(
    after_help = "A queue id is looked up whatever its age. An address (or pattern, as in \
    '*@example.org') and a Message-ID are searched for in the journal of attempts since --since, \
    and in all that is queued."
)]
pub(crate) struct TraceCommand {
    /// A queue id, a Message-ID with or without its angle brackets, or an address of the envelope
    #[arg(value_name = "QUEUE_ID|MESSAGE_ID|ADDRESS")]
    subject: String,
    /// How far back to search, such as 12h or 7d
    #[arg(long, value_name = "AGE", default_value = "1d", value_parser = Age::parse)]
    since: Age,
    /// At most so many messages, the newest
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    output: Output,
}

/// All that happened to one message, in the order of time.
#[derive(Serialize)]
struct Story {
    queue_id: String,
    /// Without angle brackets; none where it is unknown or made of the queue id.
    message_id: Option<String>,
    /// Empty for the null path.
    reverse_path: String,
    /// The trace of its acceptance (W3C traceparent).
    trace: String,
    events: Vec<Event>,
    /// What is still queued of it.
    queued: Vec<UnitRow>,
}

/// Something that happened to the message, or to a report about it.
#[derive(Serialize)]
struct Event {
    at: When,
    /// `accepted`, `reported`, or how an attempt ended.
    event: &'static str,
    /// Whose: the message's, or that of a report on its failure.
    queue_id: String,
    /// Where it came from, of `accepted`, while that is known.
    origin: Option<Origin>,
    /// Of an attempt.
    attempt: Option<Attempt>,
}

#[derive(Serialize)]
struct Origin {
    service: String,
    client: Option<String>,
    hello: Option<String>,
    login: Option<String>,
    tls: Option<String>,
}

pub(crate) async fn run(command: TraceCommand) -> Result<(), Failure> {
    let queue = command.database.queue().await?;
    // One more than is shown tells whether there are more.
    let mut found = find(&queue, &command).await?;
    let limit = command.limit as usize;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let suspensions = Suspensions::fetch(&queue).await?;
    let mut stories = Vec::new();
    for queue_id in found {
        stories.extend(story(&queue, queue_id, &suspensions).await?);
    }
    if stories.is_empty() {
        return Err(Failure::NothingTraced(command.subject));
    }
    let in_words = |stories: &Vec<Story>| {
        let texts: Vec<String> = stories.iter().map(Story::in_words).collect();
        texts.join("\n\n")
    };
    command.output.one(&stories, || in_words(&stories))?;
    if has_more {
        command.output.remark(format_args!(
            "there are more than these {limit}: --limit shows more, --since looks less far back"
        ));
    }
    Ok(())
}

async fn find(queue: &Queue, command: &TraceCommand) -> Result<Vec<QueueId>, Failure> {
    let subject = command.subject.trim();
    if let Ok(queue_id) = subject.parse() {
        return Ok(vec![queue_id]);
    }
    let bare = subject.strip_prefix('<').unwrap_or(subject);
    let search = Search {
        since: command.since.before(OffsetDateTime::now_utc()),
        limit: command.limit.saturating_add(1),
        wanted: bare.strip_suffix('>').unwrap_or(bare),
    };
    let found = queue.find_by_message_id(search).await?;
    if !found.is_empty() {
        return Ok(found);
    }
    Ok(queue.find_by_address(search).await?)
}

/// None when neither queue nor journal knows it.
async fn story(
    queue: &Queue,
    queue_id: QueueId,
    suspensions: &Suspensions,
) -> Result<Option<Story>, Failure> {
    let Some(mut detail) = queue.show(queue_id).await? else {
        return Ok(None);
    };
    let units = std::mem::take(&mut detail.units).into_iter();
    let mut story = Story {
        queue_id: queue_id.to_string(),
        message_id: detail.message_id.clone(),
        reverse_path: detail.reverse_path.clone(),
        trace: detail.trace.clone(),
        events: Vec::new(),
        queued: units.map(|unit| suspensions.row(unit)).collect(),
    };
    let notifications = std::mem::take(&mut detail.notifications);
    story.take_events(detail, "accepted");
    for notification in notifications {
        if let Some(mut detail) = queue.show(notification).await? {
            let units = std::mem::take(&mut detail.units).into_iter();
            story.queued.extend(units.map(|unit| suspensions.row(unit)));
            story.take_events(detail, "reported");
        }
    }
    story.events.sort_by_key(|event| event.at.0);
    Ok(Some(story))
}

impl Story {
    fn take_events(&mut self, detail: MessageDetail, first: &'static str) {
        let queue_id = detail.queue_id.to_string();
        let origin = detail.service.map(|service| Origin {
            service,
            client: detail.client,
            hello: detail.hello,
            login: detail.login,
            tls: detail.tls,
        });
        let made_at = detail.queue_id.created_at();
        // A report has its name a moment before the failure that it is about is on record.
        let cause = self
            .events
            .iter()
            .map(|event| event.at.0)
            .filter(|at| *at >= made_at);
        let cause = cause.min().filter(|_| first == "reported");
        self.events.push(Event {
            at: When(cause.unwrap_or(made_at)),
            event: first,
            queue_id: queue_id.clone(),
            origin,
            attempt: None,
        });
        let attempts = detail.attempts.into_iter().map(Attempt::from);
        self.events.extend(attempts.map(|attempt| Event {
            at: attempt.at,
            event: outcome(&attempt.outcome),
            queue_id: queue_id.clone(),
            origin: None,
            attempt: Some(attempt),
        }));
    }

    fn in_words(&self) -> String {
        let mut text = heading(&self.queue_id);
        let mut add = |part: String| {
            // Writing to a text cannot fail.
            let _ = write!(text, "  {}", visible(&part));
        };
        add(format!("from {}", sender(&self.reverse_path)));
        if let Some(message_id) = &self.message_id {
            add(format!("<{message_id}>"));
        }
        text.push('\n');
        let headings = [
            "AT", "EVENT", "WHOM", "STATUS", "WHERE", "TLS", "NODE", "TOOK", "SAID",
        ];
        let rows = self.events.iter().map(|event| self.cells(event));
        text.push_str(&table(headings, rows));
        for unit in &self.queued {
            // Writing to a text cannot fail.
            let _ = write!(text, "\n{}", visible(&still_queued(unit)));
        }
        text
    }

    fn cells(&self, event: &Event) -> [Cell; 9] {
        let at = event.at.to_string().into();
        let Some(attempt) = &event.attempt else {
            let mut cells: [Cell; 9] = Default::default();
            let origin = event.origin.as_ref().map(Origin::in_words);
            let report = (event.event == "reported").then(|| format!("report {}", event.queue_id));
            cells[0] = at;
            cells[1] = event.event.to_owned().into();
            cells[8] = report.or(origin).unwrap_or_default().into();
            return cells;
        };
        let is_report = event.queue_id != self.queue_id;
        let whom = attempt.recipients.join(", ");
        [
            at,
            attempt.outcome_cell(),
            if is_report {
                format!("{whom} (report)")
            } else {
                whom
            }
            .into(),
            attempt.status.clone().into(),
            attempt.host.clone().unwrap_or_default().into(),
            attempt.tls.clone().unwrap_or_default().into(),
            attempt.node.clone().into(),
            format!("{} ms", attempt.duration_ms).into(),
            attempt.reply.clone().into(),
        ]
    }
}

impl Origin {
    fn in_words(&self) -> String {
        let mut text = format!("by {}", self.service);
        for (before, value) in [
            (" from ", &self.client),
            (" called ", &self.hello),
            (" logged in as ", &self.login),
            (" over ", &self.tls),
        ] {
            if let Some(value) = value {
                text.push_str(before);
                text.push_str(value);
            }
        }
        text
    }
}

fn still_queued(unit: &UnitRow) -> String {
    let mut text = format!("still {}: {}", unit.state, unit.recipients.join(", "));
    let next = unit.next_try();
    if next.starts_with("in ") || next == "now" {
        text.push_str(&format!(", next try {next}"));
    }
    let reason = unit.reason();
    if !reason.is_empty() {
        text.push_str(&format!(" ({reason})"));
    }
    text
}

/// The journal's words are a fixed few; JSON has them as the names of events.
fn outcome(word: &str) -> &'static str {
    match word {
        "delivered" => "delivered",
        "deferred" => "deferred",
        "failed" => "failed",
        "expired" => "expired",
        "discarded" => "discarded",
        "returned" => "returned",
        _ => "attempted",
    }
}
