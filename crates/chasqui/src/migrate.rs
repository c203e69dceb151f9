//! `chasqui migrate`

use clap::Args;
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::database::DatabaseArguments;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct MigrateCommand {
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Migrated {
    up_to_date: [&'static str; 2],
}

pub(crate) async fn run(command: MigrateCommand) -> Result<(), Failure> {
    let url = command.database.url()?;
    directory::migrate(url.expose_secret()).await?;
    ::queue::migrate(url.expose_secret()).await?;
    let migrated = Migrated {
        up_to_date: ["directory", "queue"],
    };
    command.output.one(&migrated, || {
        "directory and queue are up to date".to_owned()
    })
}
