//! `chasqui account`

use clap::{Args, Subcommand};
use directory::{Account, Directory};
use serde::Serialize;
use smtp::{Domain, Mailbox};

use crate::database::DatabaseArguments;
use crate::failure::Failure;
use crate::output::{Output, When};
use crate::password::new_password;

/// How many accounts are fetched at once.
const PAGE: u32 = 1_000;

#[derive(Debug, Args)]
pub(crate) struct AccountCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add an account; its password is asked for, or read from standard input
    Add(Address),
    /// Change an account's password, which is asked for, or read from standard input
    Passwd(Address),
    /// List accounts
    List {
        /// Only those of this domain
        #[arg(long, value_parser = Domain::parse)]
        domain: Option<Domain>,
    },
    /// Disable an account: it neither logs in nor receives
    Disable(Address),
    /// Enable an account again
    Enable(Address),
}

#[derive(Debug, Args)]
struct Address {
    /// The address, such as alice@example.org
    #[arg(value_name = "ADDRESS", value_parser = Mailbox::parse)]
    mailbox: Mailbox,
}

#[derive(Serialize)]
struct Done {
    address: String,
    done: &'static str,
}

#[derive(Serialize)]
struct Row {
    address: String,
    tenant: i64,
    has_password: bool,
    disabled: bool,
    created_at: When,
}

impl From<Account> for Row {
    fn from(account: Account) -> Self {
        Self {
            address: account.name.to_string(),
            tenant: account.tenant,
            has_password: account.has_password,
            disabled: account.disabled,
            created_at: When(account.created_at),
        }
    }
}

impl Row {
    fn status(&self) -> &'static str {
        match (self.disabled, self.has_password) {
            (true, _) => "disabled",
            (false, true) => "active",
            (false, false) => "no login",
        }
    }
}

pub(crate) async fn run(command: AccountCommand) -> Result<(), Failure> {
    let directory = command.database.directory().await?;
    match command.action {
        Action::Add(Address { mailbox }) => {
            let name = directory
                .add_account(&mailbox, new_password(&mailbox)?)
                .await?;
            done(command.output, &name.mailbox(), "added")
        }
        Action::Passwd(Address { mailbox }) => {
            directory
                .set_password(&mailbox, new_password(&mailbox)?)
                .await?;
            done(command.output, &mailbox, "changed the password of")
        }
        Action::Disable(Address { mailbox }) => {
            directory.set_disabled(&mailbox, true).await?;
            done(command.output, &mailbox, "disabled")
        }
        Action::Enable(Address { mailbox }) => {
            directory.set_disabled(&mailbox, false).await?;
            done(command.output, &mailbox, "enabled")
        }
        Action::List { domain } => list(&directory, domain.as_ref(), command.output).await,
    }
}

fn done(output: Output, mailbox: &Mailbox, what: &'static str) -> Result<(), Failure> {
    let value = Done {
        address: mailbox.to_string(),
        done: what,
    };
    output.one(&value, || format!("{what} {mailbox}"))
}

async fn list(
    directory: &Directory,
    domain: Option<&Domain>,
    output: Output,
) -> Result<(), Failure> {
    let mut rows: Vec<Row> = Vec::new();
    let mut last = None;
    loop {
        let page = directory.list_accounts(domain, last.as_ref(), PAGE).await?;
        let Some(account) = page.last() else {
            break;
        };
        last = Some(account.name.clone());
        rows.extend(page.into_iter().map(Row::from));
    }
    let none = "no account yet: `chasqui account add` adds one";
    let headings = ["ADDRESS", "STATUS", "TENANT", "ADDED"];
    output.rows(&rows, none, headings, |row| {
        [
            row.address.clone(),
            row.status().to_owned(),
            row.tenant.to_string(),
            row.created_at.to_string(),
        ]
    })
}
