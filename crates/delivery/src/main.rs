//! `delivery`: puts mail into local mailboxes, and answers for the directory.

use std::process::ExitCode;

use clap::Parser as _;
use delivery::{Config, ENVIRONMENT_PREFIX};
use service::config;
use service::telemetry::{Telemetry, ask_ready};

/// Puts mail into local mailboxes, takes mail by LMTP, and answers for the directory.
#[derive(clap::Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    flags: service::Flags,
}

fn main() -> ExitCode {
    let Arguments { flags } = Arguments::parse();
    service::main("delivery", async |shutdown| {
        let config: Config = config::load(flags.config.as_deref(), ENVIRONMENT_PREFIX)?;
        if flags.check {
            return Ok(());
        }
        if flags.health {
            return Ok(ask_ready(&config.telemetry).await?);
        }
        service::log::init(&config.log)?;
        let telemetry = Telemetry::start("delivery", &config.telemetry, &shutdown).await?;
        let running = delivery::run(config, shutdown).await?;
        telemetry.ready();
        running.wait().await?;
        telemetry.end().await;
        anyhow::Ok(())
    })
}
