//! A service that does nothing until it is asked to end; with an argument it fails, and says that.

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    service::main("idle", async |shutdown| {
        if let Some(complaint) = std::env::args().nth(1) {
            return Err(io::Error::other(complaint));
        }
        println!("ready");
        shutdown.cancelled().await;
        println!("draining");
        if std::env::var_os("IDLE_FOR_EVER").is_some() {
            std::future::pending::<()>().await;
        }
        Ok(())
    })
}
