//! `chasqui alias`

use clap::{Args, Subcommand};
use serde::Serialize;
use smtp::{Domain, Mailbox};

use crate::database::DatabaseArguments;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct AliasCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an address lead to accounts, besides those it leads to already
    Add {
        /// The address, such as sales@example.org
        #[arg(value_parser = Mailbox::parse)]
        address: Mailbox,
        /// The accounts it leads to
        #[arg(value_parser = Mailbox::parse, required = true, value_name = "ACCOUNT")]
        targets: Vec<Mailbox>,
    },
    /// List aliases
    List {
        /// Only those of this domain
        #[arg(long, value_parser = Domain::parse)]
        domain: Option<Domain>,
    },
    /// Remove an alias
    Remove {
        /// The address
        #[arg(value_parser = Mailbox::parse)]
        address: Mailbox,
    },
}

#[derive(Serialize)]
struct Row {
    address: String,
    targets: Vec<String>,
}

#[derive(Serialize)]
struct Removed {
    address: String,
    removed: bool,
}

pub(crate) async fn run(command: AliasCommand) -> Result<(), Failure> {
    let directory = command.database.directory().await?;
    match command.action {
        Action::Add { address, targets } => {
            directory.add_alias(&address, &targets).await?;
            let added = Row {
                address: address.to_string(),
                targets: texts(&targets),
            };
            command.output.one(&added, || {
                format!("{address} leads to {}", added.targets.join(", "))
            })
        }
        Action::List { domain } => {
            let aliases = directory.list_aliases(domain.as_ref()).await?;
            let rows: Vec<Row> = aliases
                .into_iter()
                .map(|alias| Row {
                    address: alias.name.to_string(),
                    targets: texts(&alias.targets),
                })
                .collect();
            let none = "no alias yet: `chasqui alias add` adds one";
            command
                .output
                .rows(&rows, none, ["ADDRESS", "LEADS TO"], |row| {
                    [row.address.clone(), row.targets.join(", ")]
                })
        }
        Action::Remove { address } => {
            if !directory.remove_alias(&address).await? {
                return Err(Failure::NoSuchAlias(address));
            }
            let removed = Removed {
                address: address.to_string(),
                removed: true,
            };
            command
                .output
                .one(&removed, || format!("removed {address}"))
        }
    }
}

fn texts(addresses: &[impl ToString]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}
