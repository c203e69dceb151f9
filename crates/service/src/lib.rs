//! What each service's `main` needs: configuration, logs, telemetry and graceful shutdown.
//!
//! ```no_run
//! # #[derive(serde::Deserialize)]
//! # struct Config { log: service::config::LogConfig }
//! # impl service::config::Validate for Config {
//! #     fn problems(&self) -> Vec<service::config::Problem> { Vec::new() }
//! # }
//! # async fn run(_: Config, _: tokio_util::sync::CancellationToken) -> std::io::Result<()> { Ok(()) }
//! fn main() -> std::process::ExitCode {
//!     service::main("relay", async |shutdown| {
//!         let config: Config = service::config::load(None, "CHASQUI_RELAY")?;
//!         service::log::init(&config.log)?;
//!         run(config, shutdown).await?;
//!         Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//!     })
//! }
//! ```
//!
//! Invariant: no policy of any one service is in here.

pub mod config;
pub mod log;
pub mod message_log;
pub mod node;
pub mod provenance;
pub mod shutdown;
pub mod telemetry;
pub mod wiring;

mod entry;
mod open_files;
mod privacy;
mod tasks;

pub use entry::{Flags, main, one_line};
pub use tasks::{RunError, Tasks};
