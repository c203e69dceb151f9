//! `chasqui queue`

pub(crate) mod attempt;
mod list;
pub(crate) mod mailq;
mod selection;
mod show;
mod steer;
mod top;
pub(crate) mod unit;

use ::queue::QueueId;
use clap::{Args, Subcommand};

use self::list::ListArguments;
use self::selection::Selection;
use self::steer::Steering;
use self::top::TopArguments;
use crate::database::DatabaseArguments;
use crate::failure::Failure;
use crate::output::Output;

/// Longest reply that a table of units or destinations shows, in characters; `queue show` has all
/// of it.
const MAX_REPLY: usize = 60;

#[derive(Debug, Args)]
pub(crate) struct QueueCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List queued mail, a line for each message and recipient domain
    List(ListArguments),
    /// Show all that is known of a message: where it came from, what is queued, what was tried
    Show {
        /// Its queue id, as in the reply to the client, the Received field and the log
        #[arg(value_name = "QUEUE_ID")]
        queue_id: QueueId,
    },
    /// Destinations by how much waits for them: counts, ages, suspensions, last errors
    Top(TopArguments),
    /// Try deferred mail now, and open its destinations; all of it unless some is chosen
    Flush(Selection),
    /// Hold mail: it is neither tried nor given up until it is released
    Hold {
        #[command(flatten)]
        selection: Selection,
        /// Why, for whoever looks at it
        #[arg(long, default_value = "held by the operator")]
        reason: String,
    },
    /// Release held mail: it is tried at least once more
    Release(Selection),
    /// Remove mail from the queue without telling its sender; cannot be undone
    Cancel(Selection),
}

pub(crate) async fn run(command: QueueCommand) -> Result<(), Failure> {
    let QueueCommand {
        action,
        database,
        output,
    } = command;
    let (steering, selection) = match action {
        Action::List(arguments) => return list::run(arguments, &database, output).await,
        Action::Top(arguments) => return top::run(arguments, &database, output).await,
        Action::Show { queue_id } => return show::run(queue_id, &database, output).await,
        Action::Flush(selection) => (Steering::Flush, selection),
        Action::Hold { selection, reason } => (Steering::Hold { reason }, selection),
        Action::Release(selection) => (Steering::Release, selection),
        Action::Cancel(selection) => (Steering::Cancel, selection),
    };
    steer::run(&steering, &selection, &database, output).await
}

fn shortened(reply: &str) -> String {
    if reply.chars().count() <= MAX_REPLY {
        return reply.to_owned();
    }
    let start: String = reply.chars().take(MAX_REPLY - 1).collect();
    format!("{start}…")
}
