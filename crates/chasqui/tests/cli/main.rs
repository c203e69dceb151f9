//! The command line as an operator sees it, on a real Postgres.
#![allow(clippy::unwrap_used, clippy::panic)]

mod directory;
mod doctor;
mod offline;
mod operator;
mod queue;
mod sendmail;
mod story;
mod usage;
