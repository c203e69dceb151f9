//! `chasqui queue flush|hold|release|cancel`

use ::queue::{Filter, Queue, QueueError, Steered, UnitPosition};
use serde::Serialize;

use super::selection::Selection;
use crate::database::DatabaseArguments;
use crate::failure::Failure;
use crate::output::Output;

/// How many units one statement steers.
const PAGE: u32 = 2_000;

/// What to do to units.
#[derive(Debug)]
pub(crate) enum Steering {
    Flush,
    Hold { reason: String },
    Release,
    Cancel,
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Done {
    action: &'static str,
    /// Units; of `cancel`, recipients.
    changed: u64,
    /// Units that a relay held.
    leased: u64,
    /// Whether the limit ended it, so that there may be more.
    limited: bool,
}

pub(crate) async fn run(
    steering: &Steering,
    selection: &Selection,
    database: &DatabaseArguments,
    output: Output,
) -> Result<(), Failure> {
    if selection.filters.is_empty() && !selection.all && !matches!(steering, Steering::Flush) {
        return Err(Failure::NothingChosen(steering.name()));
    }
    let queue = database.queue().await?;
    let done = steer(steering, &queue, selection).await?;
    output.one(&done, || steering.in_words(&done))
}

async fn steer(
    steering: &Steering,
    queue: &Queue,
    selection: &Selection,
) -> Result<Done, QueueError> {
    let mut done = Done {
        action: steering.name(),
        ..Done::default()
    };
    let mut room = selection.limit;
    for filter in selection.filters.to_queue() {
        let mut after = None;
        loop {
            let page = room.map_or(PAGE, |room| room.min(PAGE));
            if page == 0 {
                done.limited = true;
                return Ok(done);
            }
            let steered = steering.apply(queue, &filter, after, page).await?;
            done.changed += steered.changed;
            done.leased += steered.leased;
            room = room.map(|room| room - page);
            after = steered.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(done)
}

impl Steering {
    fn name(&self) -> &'static str {
        match self {
            Self::Flush => "flush",
            Self::Hold { .. } => "hold",
            Self::Release => "release",
            Self::Cancel => "cancel",
        }
    }

    async fn apply(
        &self,
        queue: &Queue,
        filter: &Filter,
        after: Option<UnitPosition>,
        limit: u32,
    ) -> Result<Steered, QueueError> {
        match self {
            Self::Flush => queue.flush(filter, after, limit).await,
            Self::Hold { reason } => queue.hold(filter, reason, after, limit).await,
            Self::Release => queue.release(filter, after, limit).await,
            Self::Cancel => queue.cancel(filter, after, limit).await,
        }
    }

    fn in_words(&self, done: &Done) -> String {
        let changed = match self {
            Self::Flush => count(done.changed, "unit", "is due now", "are due now"),
            Self::Hold { .. } => count(done.changed, "unit", "is held", "are held"),
            Self::Release => count(done.changed, "unit", "is released", "are released"),
            Self::Cancel => count(done.changed, "recipient", "is cancelled", "are cancelled"),
        };
        let mut text = changed;
        if done.leased > 0 {
            text.push_str("; ");
            text.push_str(&self.passed_over(done.leased));
        }
        if done.limited {
            text.push_str("; the limit is reached, there may be more");
        }
        text
    }

    /// What a relay is sending can't be called back.
    fn passed_over(&self, leased: u64) -> String {
        let being_tried = count(leased, "unit", "is being tried", "are being tried");
        match self {
            Self::Flush => format!("{being_tried} and left alone"),
            Self::Release => format!("{being_tried}, again too if that fails"),
            Self::Hold { .. } => format!("{being_tried} and will be held if that fails"),
            Self::Cancel => {
                format!("{being_tried}, and will be held rather than tried again if that fails")
            }
        }
    }
}

fn count(number: u64, noun: &str, one: &str, many: &str) -> String {
    match number {
        0 => format!("no {noun} {one}"),
        1 => format!("1 {noun} {one}"),
        _ => format!("{number} {noun}s {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(changed: u64, leased: u64, limited: bool) -> Done {
        Done {
            action: "",
            changed,
            leased,
            limited,
        }
    }

    #[test]
    fn what_was_done_and_what_was_not_is_told() {
        let hold = Steering::Hold {
            reason: String::new(),
        };
        for (steering, done, told) in [
            (&Steering::Flush, done(0, 0, false), "no unit is due now"),
            (&hold, done(1, 0, false), "1 unit is held"),
            (
                &Steering::Release,
                done(7, 1, false),
                "7 units are released; 1 unit is being tried, again too if that fails",
            ),
            (
                &Steering::Cancel,
                done(3, 0, true),
                "3 recipients are cancelled; the limit is reached, there may be more",
            ),
        ] {
            assert_eq!(steering.in_words(&done), told);
        }
    }
}
