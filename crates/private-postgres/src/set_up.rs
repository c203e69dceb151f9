//! Makes a new cluster.

use std::io::Write;
use std::process::Stdio;

use rand::distr::{Alphanumeric, SampleString};

use crate::binaries::Binaries;
use crate::cluster::Cluster;
use crate::error::StartError;
use crate::log::Log;
use crate::postgres::{DATABASE, USER};

/// 32 letters and digits are 190 bits, and need no escaping in a URL.
const PASSWORD_LENGTH: usize = 32;

/// Runs `initdb` and makes our database, with a new password for the superuser.
pub(crate) fn set_up(cluster: &Cluster, binaries: &Binaries) -> Result<(), StartError> {
    let log = Log::from_here(cluster.log());
    let password = Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH);
    let mut command = cluster.account().command("/bin/sh");
    command
        .args(["-c", include_str!("set_up.sh"), "set_up.sh"])
        .arg(cluster.folder())
        .arg(binaries.initdb())
        .arg(binaries.postgres())
        .args([USER, DATABASE]);
    if cluster.is_temporary() {
        // It won't outlive us, so it needn't outlive a power failure.
        command.arg("--no-sync");
    }
    let mut script = command
        .stdin(Stdio::piped())
        .stderr(cluster.share_lock()?)
        .spawn()
        .map_err(StartError::spawn("/bin/sh"))?;
    if let Some(mut input) = script.stdin.take() {
        // A script that ended early is told by its exit status.
        let _ = input.write_all(password.as_bytes());
    }
    let status = script.wait().map_err(StartError::spawn("/bin/sh"))?;
    if !status.success() {
        return Err(StartError::SetUp {
            detail: log.last_words(),
            log: log.path().to_owned(),
        });
    }
    cluster
        .sync()
        .map_err(StartError::folder("sync", cluster.folder()))
}
