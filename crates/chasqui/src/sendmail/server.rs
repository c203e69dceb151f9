//! The connection to the server.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use smtp::Domain;
use smtp::client::Config;

use super::error::SendmailError;
use super::settings::Settings;
use crate::talk::{Manner, Talk, anybody, vouched};

/// Somebody, or a program, waits.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);

/// Opens the session, and logs in where there is a login.
pub(super) fn open(settings: &Settings) -> Result<Talk, SendmailError> {
    let hello = Domain::parse(&settings.host_name).map_err(|_| SendmailError::HostName {
        name: settings.host_name.clone(),
    })?;
    // Without a password at stake any certificate is better than plaintext, and nobody can pretend
    // to be this machine, whose certificate mostly has no name to check. But what is asked for is done.
    let trusts_anybody = settings.login.is_none() || settings.is_here();
    let trust = match settings.ca.as_deref() {
        None if trusts_anybody => anybody()?,
        authorities => vouched(authorities)?,
    };
    let manner = Manner {
        session: Config::new(hello),
        security: settings.security,
        trust,
        connect_within: CONNECT_WITHIN,
    };
    let failed = |source| SendmailError::Talk {
        host: settings.host.clone(),
        port: settings.port,
        source,
    };
    let mut talk = Talk::open(&addresses(settings)?, &settings.host, &manner).map_err(failed)?;
    if let Some((login, password)) = &settings.login {
        let logged_in = talk.authenticate(login, password.expose_secret());
        logged_in.map_err(failed)?;
    }
    Ok(talk)
}

fn addresses(settings: &Settings) -> Result<Vec<SocketAddr>, SendmailError> {
    let found = (settings.host.as_str(), settings.port).to_socket_addrs();
    let failed = |source| SendmailError::LookUp {
        host: settings.host.clone(),
        source,
    };
    Ok(found.map_err(failed)?.collect())
}
