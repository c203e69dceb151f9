//! From the configuration to the settings of the parts that are submission's own.

use std::time::Duration;

use rpc::ChannelConfig;
use service::config::Problem;
use service::wiring::channel;
use smtp::Dialect;
use smtp::server::{AuthOffer, Config as SessionConfig};

use crate::config::Config;

/// How long a call may take: a password hash costs tens of milliseconds, more on a busy machine; a
/// mail client waits a minute or more.
const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// The way to the directory.
pub(crate) fn directory(config: &Config) -> Result<ChannelConfig, Problem> {
    channel(&config.directory, CALL_DEADLINE).map_err(|problem| problem.within("directory"))
}

/// The way to the relays, if any are configured.
pub(crate) fn relay(config: &Config) -> Result<Option<ChannelConfig>, Problem> {
    let relay = config.relay.as_ref();
    let relay = relay.map(|section| channel(section, CALL_DEADLINE));
    relay.transpose().map_err(|problem| problem.within("relay"))
}

/// What the sessions of all sockets have in common.
pub(crate) fn session(config: &Config) -> SessionConfig {
    let limits = &config.limits;
    SessionConfig {
        max_message_size: limits.message_size,
        max_recipients: limits.recipients,
        max_auth_failures: limits.failed_logins_per_session.get() as usize,
        auth: AuthOffer::AfterTls,
        ..SessionConfig::new(Dialect::Smtp, config.host_name.clone())
    }
}
