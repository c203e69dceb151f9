//! `submission`: takes mail from mail clients.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use service::config;
use service::telemetry::{Telemetry, ask_ready};
use smtp_net::ReloadingTls;
use submission::{Config, ENVIRONMENT_PREFIX};
use tokio::signal::unix::{SignalKind, signal};

/// Takes mail from mail clients (RFC 6409), and queues it.
#[derive(clap::Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    flags: service::Flags,
}

fn main() -> ExitCode {
    let Arguments { flags } = Arguments::parse();
    service::main("submission", async |shutdown| {
        let config: Config = config::load(flags.config.as_deref(), ENVIRONMENT_PREFIX)?;
        if flags.check {
            return Ok(());
        }
        if flags.health {
            return Ok(ask_ready(&config.telemetry).await?);
        }
        service::log::init(&config.log)?;
        let telemetry = Telemetry::start("submission", &config.telemetry, &shutdown).await?;
        let running = submission::run(config, shutdown).await?;
        reload_on_hangup(running.tls()).context("cannot listen for SIGHUP")?;
        telemetry.ready();
        running.wait().await?;
        telemetry.end().await;
        anyhow::Ok(())
    })
}

/// Reads the certificate again at each SIGHUP, as renewal scripts expect it.
fn reload_on_hangup(tls: ReloadingTls) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let tls = tls.clone();
            match tokio::task::spawn_blocking(move || tls.reload()).await {
                Ok(Ok(())) => tracing::info!("certificate reloaded"),
                Ok(Err(error)) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, "certificate not reloaded, the old one stays in use");
                }
                Err(_) => {}
            }
        }
    });
    Ok(())
}
