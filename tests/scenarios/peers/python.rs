//! Python's own mail packages: `smtplib` to send, `email` to understand.

use serde_json::Value;
use tokio::process::Command;

use super::program::run;

const UNDERSTAND: &str = include_str!("understand_report.py");

/// Runs a script; what it prints is JSON.
pub(crate) async fn python(script: &str, arguments: &[&str], input: &[u8]) -> Value {
    let mut command = Command::new("python3");
    // -I: whatever the environment says, only Python's own packages.
    command.args(["-I", "-c", script]).args(arguments);
    let printed = run(&mut command, input).await.well();
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// What Python makes of a delivery status notification.
pub(crate) async fn understand(report: &[u8]) -> Value {
    python(UNDERSTAND, &[], report).await
}
