//! The command line as a whole.

use clap::{Parser, Subcommand};

use crate::account::AccountCommand;
use crate::alias::AliasCommand;
use crate::completions::CompletionsCommand;
use crate::config_check::ConfigCommand;
use crate::dev::DevCommand;
use crate::doctor::DoctorCommand;
use crate::domain::DomainCommand;
use crate::migrate::MigrateCommand;
use crate::queue::QueueCommand;
use crate::queue::mailq::MailqCommand;
use crate::sendmail::SendmailCommand;
use crate::trace::TraceCommand;

/// Chasqui, a mail transport system: look after its directory and its queue, or try it out
#[derive(Debug, Parser)]
#[command(name = "chasqui", version, propagate_version = true)]
#[command(after_help = "Exit status: 0 done, 1 failed, 2 wrong usage.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

/// What the command is about.
#[derive(Debug, Subcommand)]
pub(crate) enum Noun {
    /// Try it out: a whole mail system on this machine, set up by itself, until Ctrl-C
    Dev(DevCommand),
    /// Local domains
    Domain(DomainCommand),
    /// Accounts: mailboxes, most of which someone can log in to
    Account(AccountCommand),
    /// Aliases: addresses that lead to accounts
    Alias(AliasCommand),
    /// Queued mail: look at it and steer it
    Queue(QueueCommand),
    /// The queue as sendmail and Postfix print it; also when called as mailq
    Mailq(MailqCommand),
    /// What became of a message: accepted, attempts, reports; also when it is gone
    Trace(TraceCommand),
    /// Submit a message from standard input, as sendmail does; also when called as sendmail
    Sendmail(Box<SendmailCommand>),
    /// Look for what ails the fleet: database, relays, DNS, certificates, ports, disk
    Doctor(DoctorCommand),
    /// Services' configuration files
    Config(ConfigCommand),
    /// Set the database up, or bring it up to date; safe to repeat, and while services run
    Migrate(MigrateCommand),
    /// A script that completes commands in a shell
    Completions(CompletionsCommand),
}

/// The queue as sendmail and Postfix print it
#[derive(Debug, Parser)]
#[command(name = "mailq", version)]
pub(crate) struct MailqArguments {
    #[command(flatten)]
    pub(crate) command: MailqCommand,
}

/// Submit a message from standard input
#[derive(Debug, Parser)]
#[command(name = "sendmail")]
pub(crate) struct SendmailArguments {
    #[command(flatten)]
    pub(crate) command: SendmailCommand,
}
