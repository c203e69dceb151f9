//! swaks, the "Swiss Army knife for SMTP".

use std::net::SocketAddr;

use tokio::process::Command;

use super::program::{Ended, run};

/// Without it, swaks adds an empty line at the end.
const END: &str = ".\r\n";

/// swaks's exit codes (its manual, "EXIT CODES").
pub(crate) const NO_RECIPIENT_TAKEN: i32 = 24;
pub(crate) const MAIL_REFUSED: i32 = 23;
pub(crate) const LOGIN_FAILED: i32 = 28;

/// Has swaks send a message to a server, which goes out as it is, save that a literal `\n` or `%DATE%` means something
/// to swaks.
pub(crate) async fn swaks(server: SocketAddr, arguments: &[&str], message: &str) -> Ended {
    let mut command = Command::new("swaks");
    command
        .env_remove("SWAKS_HOME")
        .args([
            "--server",
            &server.ip().to_string(),
            "--port",
            &server.port().to_string(),
        ])
        .args(["--helo", "swaks.test", "--timeout", "30", "--data", "-"])
        .args(arguments);
    run(&mut command, format!("{message}{END}").as_bytes()).await
}
