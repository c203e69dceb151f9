//! `relay`: takes mail from other servers, and sends what is queued.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use relay::{Config, ENVIRONMENT_PREFIX, Reloader};
use service::config;
use service::telemetry::{Telemetry, ask_ready};
use tokio::signal::unix::{SignalKind, signal};

/// Takes mail from other servers, and sends what is queued (RFC 5321).
#[derive(clap::Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    flags: service::Flags,
}

fn main() -> ExitCode {
    let Arguments { flags } = Arguments::parse();
    service::main("relay", async |shutdown| {
        let config: Config = config::load(flags.config.as_deref(), ENVIRONMENT_PREFIX)?;
        if flags.check {
            return Ok(());
        }
        if flags.health {
            return Ok(ask_ready(&config.telemetry).await?);
        }
        service::log::init(&config.log)?;
        let telemetry = Telemetry::start("relay", &config.telemetry, &shutdown).await?;
        let running = relay::run(config, shutdown).await?;
        reload_on_hangup(running.reloader(), flags.config.clone())
            .context("cannot listen for SIGHUP")?;
        telemetry.ready();
        running.wait().await?;
        telemetry.end().await;
        anyhow::Ok(())
    })
}

/// Reads certificate and routes again at each SIGHUP.
fn reload_on_hangup(reloader: Reloader, file: Option<PathBuf>) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let (reloader, file) = (reloader.clone(), file.clone());
            let reloaded = tokio::task::spawn_blocking(move || reload(&reloader, file)).await;
            match reloaded {
                Ok(Ok(())) => tracing::info!("certificate and routes reloaded"),
                Ok(Err(error)) => tracing::error!("not reloaded, the old stays in use: {error:#}"),
                Err(_) => {}
            }
        }
    });
    Ok(())
}

fn reload(reloader: &Reloader, file: Option<PathBuf>) -> anyhow::Result<()> {
    let config: Config = config::load(file.as_deref(), ENVIRONMENT_PREFIX)?;
    reloader.reload(&config)?;
    Ok(())
}
