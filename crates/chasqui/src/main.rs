//! The operator's command line, and `chasqui dev`: the whole fleet in one process.
//!
//! One file a noun: each parses its own arguments, asks the crate that owns the matter, and prints.
//!
//! Invariant: no SQL in here; `queue` and `directory` own theirs.

mod account;
mod alias;
mod arguments;
mod database;
mod domain;
mod failure;
mod migrate;
mod output;
mod password;
mod queue;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{Arguments, Noun};
use crate::failure::Failure;

fn main() -> ExitCode {
    // It fails when one is there already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match run(Arguments::parse().noun) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(noun: Noun) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?;
    runtime.block_on(async {
        match noun {
            Noun::Domain(command) => domain::run(command).await,
            Noun::Account(command) => account::run(command).await,
            Noun::Alias(command) => alias::run(command).await,
            Noun::Queue(command) => queue::run(command).await,
            Noun::Migrate(command) => migrate::run(command).await,
        }
    })
}
