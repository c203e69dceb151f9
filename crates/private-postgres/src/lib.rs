//! A private Postgres: a cluster of one's own, set up on first use, gone when its owner is gone.
//!
//! [`PrivatePostgres::start`] finds the Postgres that is installed on the machine, makes a cluster
//! where there is none yet, and runs it with durable settings, on 127.0.0.1 only, behind a
//! generated password. As root it runs Postgres as an unprivileged user, because Postgres refuses
//! root. A small shell script stands between owner and server, so that the server ends with its
//! owner even when that is killed.
//!
//! Everything here blocks, for a second or so at the first start; within an async program, call it
//! through `spawn_blocking`.
//!
//! ```no_run
//! use private_postgres::{PrivatePostgres, PrivatePostgresConfig};
//!
//! let config = PrivatePostgresConfig::kept_in(".chasqui");
//! let mut postgres = PrivatePostgres::start(config, |step| println!("{step}"))?;
//! println!("{}", postgres.url());
//! postgres.stop();
//! # Ok::<(), private_postgres::StartError>(())
//! ```
//!
//! Invariant: no SQL client in here; set-up goes through Postgres' own programs.

mod account;
mod binaries;
mod cluster;
mod config;
mod error;
mod log;
mod pid_file;
mod postgres;
mod running;
mod server;
mod set_up;
mod step;

pub use config::{Place, PrivatePostgresConfig};
pub use error::StartError;
pub use postgres::{DATABASE, PrivatePostgres, Shutdown, USER};
pub use running::{LocateError, url_of_running};
pub use step::Step;
