//! Owns a Postgres until its standard input ends: `owner STATE-FOLDER`, or `owner --temporary`.
//!
//! Prints each step, then a line `url …` and a line `postmaster …`.

use std::io::Read;
use std::process::ExitCode;

use private_postgres::{PrivatePostgres, PrivatePostgresConfig};

fn main() -> ExitCode {
    let config = match std::env::args().nth(1).as_deref() {
        None => {
            eprintln!("usage: owner STATE-FOLDER | owner --temporary");
            return ExitCode::FAILURE;
        }
        Some("--temporary") => PrivatePostgresConfig::temporary(),
        Some(folder) => PrivatePostgresConfig::kept_in(folder),
    };
    let mut postgres = match PrivatePostgres::start(config, |step| println!("{step}")) {
        Ok(postgres) => postgres,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("url {}", postgres.url());
    println!("postmaster {}", postgres.postmaster().unwrap_or_default());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    println!("stopped: {:?}", postgres.stop());
    ExitCode::SUCCESS
}
