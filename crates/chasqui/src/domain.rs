//! `chasqui domain`

use clap::{Args, Subcommand};
use serde::Serialize;
use smtp::Domain;

use crate::database::DatabaseArguments;
use crate::dns_records::{self, DnsRecordsArguments};
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
    /// Print the DNS records to publish for a domain, as a zone file has them
    DnsRecords(DnsRecordsArguments),
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
    let DomainCommand {
        action,
        database,
        output,
    } = command;
    match action {
        Action::Add { domain, tenant } => add(&domain, tenant, &database, output).await,
        Action::List => list(&database, output).await,
        Action::DnsRecords(arguments) => dns_records::run(&arguments, output),
    }
}

async fn add(
    domain: &Domain,
    tenant: Option<i64>,
    database: &DatabaseArguments,
    output: Output,
) -> Result<(), Failure> {
    let tenant = database
        .directory()
        .await?
        .add_domain(domain, tenant)
        .await?;
    let added = Added {
        domain: domain.as_str(),
        tenant,
    };
    output.one(&added, || format!("added {domain} for tenant {tenant}"))
}

async fn list(database: &DatabaseArguments, output: Output) -> Result<(), Failure> {
    let domains = database.directory().await?.list_domains().await?;
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
    output.rows(&rows, none, headings, |row| {
        let tenant = row.tenant.to_string();
        [row.domain.clone(), tenant, row.created_at.to_string()]
    })
}
