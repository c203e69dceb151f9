//! The operator's command line, and `chasqui dev`: the whole fleet in one process.
//!
//! One file a noun: each parses its own arguments, asks the crate that owns the matter, and prints.
//!
//! Invariant: no SQL in here; `queue` and `directory` own theirs.

mod account;
mod age;
mod alias;
mod arguments;
mod called_as;
mod certificate;
mod completions;
mod config_check;
mod database;
mod dev;
mod dns_records;
mod doctor;
mod domain;
mod failure;
mod migrate;
mod output;
mod password;
mod queue;
mod sendmail;
mod service_files;
mod talk;
mod trace;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, MailqArguments, Noun, SendmailArguments};
use crate::called_as::CalledAs;
use crate::failure::Failure;

fn main() -> ExitCode {
    match CalledAs::now() {
        CalledAs::Mailq => parsed::<MailqArguments>(|it| operate(queue::mailq::run(it.command))),
        CalledAs::Sendmail => parsed::<SendmailArguments>(|it| sendmail::main(&it.command)),
        CalledAs::Chasqui => parsed::<Arguments>(|it| run(it.noun)),
    }
}

fn run(noun: Noun) -> ExitCode {
    match noun {
        Noun::Dev(command) => {
            service::main("chasqui dev", async |stop| dev::run(command, stop).await)
        }
        Noun::Domain(command) => operate(domain::run(command)),
        Noun::Account(command) => operate(account::run(command)),
        Noun::Alias(command) => operate(alias::run(command)),
        Noun::Queue(command) => operate(queue::run(command)),
        Noun::Mailq(command) => operate(queue::mailq::run(command)),
        Noun::Trace(command) => operate(trace::run(command)),
        Noun::Sendmail(command) => sendmail::main(&command),
        Noun::Doctor(command) => operate(doctor::run(command)),
        Noun::Config(command) => operate(config_check::run(command)),
        Noun::Migrate(command) => operate(migrate::run(command)),
        Noun::Completions(command) => operate(completions::run(command)),
    }
}

/// Runs what the command line asks for, or tells what is wrong with it.
fn parsed<A: Parser>(run: impl FnOnce(A) -> ExitCode) -> ExitCode {
    match A::try_parse() {
        Ok(arguments) => run(arguments),
        Err(error) => {
            // Nobody is there to miss what can't be written.
            let _ = error.print();
            if error.exit_code() == 0 {
                ExitCode::SUCCESS
            } else {
                called_as::wrong_usage()
            }
        }
    }
}

/// Runs a command to its end.
fn operate(command: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    // It fails when one is there already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime);
    match runtime.and_then(|runtime| runtime.block_on(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
