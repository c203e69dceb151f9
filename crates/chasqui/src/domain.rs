//! `chasqui domain`

use clap::{Args, Subcommand};
use serde::Serialize;
use smtp::Domain;

use crate::database::DatabaseArguments;
use crate::failure::Failure;
use crate::output::{Output, When};

#[derive(Debug, Args)]
pub(crate) struct DomainCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a domain, with postmaster@ (a mailbox) and abuse@ (an alias for it)
    Add {
        /// The name, such as example.org
        #[arg(value_parser = Domain::parse)]
        domain: Domain,
        /// Whose it is; the queue is fair between tenants [default: a new one]
        #[arg(long, value_name = "NUMBER")]
        tenant: Option<i64>,
    },
    /// List all domains
    List,
}

#[derive(Serialize)]
struct Added<'a> {
    domain: &'a str,
    tenant: i64,
}

#[derive(Serialize)]
struct Row {
    domain: String,
    tenant: i64,
    created_at: When,
}

pub(crate) async fn run(command: DomainCommand) -> Result<(), Failure> {
    let directory = command.database.directory().await?;
    match command.action {
        Action::Add { domain, tenant } => {
            let tenant = directory.add_domain(&domain, tenant).await?;
            let added = Added {
                domain: domain.as_str(),
                tenant,
            };
            command
                .output
                .one(&added, || format!("added {domain} for tenant {tenant}"))
        }
        Action::List => {
            let domains = directory.list_domains().await?;
            let rows: Vec<Row> = domains
                .into_iter()
                .map(|entry| Row {
                    domain: entry.name.to_string(),
                    tenant: entry.tenant,
                    created_at: When(entry.created_at),
                })
                .collect();
            let none = "no domain yet: `chasqui domain add` adds one";
            let headings = ["DOMAIN", "TENANT", "ADDED"];
            command.output.rows(&rows, none, headings, |row| {
                let tenant = row.tenant.to_string();
                [row.domain.clone(), tenant, row.created_at.to_string()]
            })
        }
    }
}
