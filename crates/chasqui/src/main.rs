//! The operator's command line, and `chasqui dev`: the whole fleet in one process.
//!
//! One file a noun: each parses its own arguments, asks the crate that owns the matter, and prints.
//!
//! Invariant: no SQL in here; `queue` and `directory` own theirs.

mod account;
mod age;
mod alias;
mod arguments;
mod database;
mod dev;
mod domain;
mod failure;
mod migrate;
mod output;
mod password;
mod queue;
mod trace;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{Arguments, Noun};
use crate::failure::Failure;

fn main() -> ExitCode {
    match Arguments::parse().noun {
        Noun::Dev(command) => {
            service::main("chasqui dev", async |stop| dev::run(command, stop).await)
        }
        Noun::Domain(command) => operate(domain::run(command)),
        Noun::Account(command) => operate(account::run(command)),
        Noun::Alias(command) => operate(alias::run(command)),
        Noun::Queue(command) => operate(queue::run(command)),
        Noun::Mailq(command) => operate(queue::mailq::run(command)),
        Noun::Trace(command) => operate(trace::run(command)),
        Noun::Migrate(command) => operate(migrate::run(command)),
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
