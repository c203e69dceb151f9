//! The configuration of the three services: made at the first start, the user's from then on.

use std::net::SocketAddr;
use std::path::Path;

use secrecy::SecretString;
use serde::de::DeserializeOwned;
use service::config::{ConfigError, ListenSection, ListenTls, LogConfig, Validate, load_with};
use smtp::Domain;
use thiserror::Error;

use super::ports::{
    Addresses, LMTP_FLAG, PortError, PortFlags, RELAY_FLAG, Reserved, SUBMISSION_FLAG,
    SUBMISSIONS_FLAG,
};
use super::state::{StateError, StateFolder};
use super::{certificate, host_name};

const SUBMISSION: &str = "config/submission.toml";
const RELAY: &str = "config/relay.toml";
const DELIVERY: &str = "config/delivery.toml";

/// Each file and what it is made from.
const FILES: [(&str, &str); 3] = [
    (SUBMISSION, include_str!("templates/submission.toml")),
    (RELAY, include_str!("templates/relay.toml")),
    (DELIVERY, include_str!("templates/delivery.toml")),
];

/// Stands for the database while there is none yet.
const NO_DATABASE: &str = "postgres://127.0.0.1/";
const DATABASE_URL: &str = "DATABASE_URL";
/// How the variable of a single service's database ends.
const OWN_DATABASE_URL: &str = "__DATABASE__URL";

/// Why there is no configuration.
#[derive(Debug, Error)]
pub(crate) enum ConfigurationError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Load(#[from] ConfigError),
    #[error(transparent)]
    Port(#[from] PortError),
}

/// What the services are told.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    pub(crate) submission: submission::Config,
    pub(crate) relay: relay::Config,
    pub(crate) delivery: delivery::Config,
}

/// Loads the configuration, makes what is missing of it, and makes sure that its ports are free.
/// Tells also which files were made. A start that fails here leaves no file of its making behind.
pub(crate) fn provide(
    state: &StateFolder,
    domain: &Domain,
    flags: &PortFlags,
) -> Result<(Configuration, Vec<&'static str>), ConfigurationError> {
    let made = make_missing(state, domain, flags)?;
    let loaded = Configuration::load(state).and_then(|mut configuration| {
        configuration.settle_ports(flags)?;
        Ok(configuration)
    });
    if loaded.is_err() {
        for file in &made {
            state.remove(file)?;
        }
    }
    Ok((loaded?, made))
}

fn make_missing(
    state: &StateFolder,
    domain: &Domain,
    flags: &PortFlags,
) -> Result<Vec<&'static str>, ConfigurationError> {
    let missing: Vec<_> = FILES
        .into_iter()
        .filter(|(file, _)| !state.has(file))
        .collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let addresses = Addresses::choose(flags)?;
    for (file, template) in &missing {
        state.write(file, &fill_in(template, state, domain, &addresses))?;
    }
    Ok(missing.into_iter().map(|(file, _)| file).collect())
}

fn fill_in(template: &str, state: &StateFolder, domain: &Domain, addresses: &Addresses) -> String {
    let values = [
        ("host_name", host_name(domain)),
        ("certificate", state.absolute(certificate::CERTIFICATE)),
        ("key", state.absolute(certificate::KEY)),
        ("mail", state.absolute("mail")),
        ("submission", addresses.submission.to_string()),
        ("submissions", addresses.submissions.to_string()),
        ("relay", addresses.relay.to_string()),
        ("lmtp", addresses.lmtp.to_string()),
        ("submission_grpc", addresses.submission_grpc.to_string()),
        ("relay_grpc", addresses.relay_grpc.to_string()),
        ("delivery_grpc", addresses.delivery_grpc.to_string()),
    ];
    values
        .into_iter()
        .fold(template.to_owned(), |text, (name, value)| {
            let quoted = toml::Value::String(value).to_string();
            text.replace(&format!("{{{{{name}}}}}"), &quoted)
        })
}

impl Configuration {
    fn load(state: &StateFolder) -> Result<Self, ConfigurationError> {
        Ok(Self {
            submission: load(&state.shown(SUBMISSION), submission::ENVIRONMENT_PREFIX)?,
            relay: load(&state.shown(RELAY), relay::ENVIRONMENT_PREFIX)?,
            delivery: load(&state.shown(DELIVERY), delivery::ENVIRONMENT_PREFIX)?,
        })
    }

    /// All three use this database.
    pub(crate) fn use_database(&mut self, url: &str) {
        for section in [
            &mut self.submission.database,
            &mut self.relay.database,
            &mut self.delivery.database,
        ] {
            section.url = Some(SecretString::from(url));
        }
    }

    /// The one log that all three write: what any of them wants beyond the default.
    pub(crate) fn log(&self) -> LogConfig {
        let mut log = LogConfig::default();
        for own in [&self.submission.log, &self.relay.log, &self.delivery.log] {
            if own.level != LogConfig::default().level {
                log.level.push(',');
                log.level.push_str(&own.level);
            }
            log.format = own.format;
        }
        log
    }

    /// Where mail clients connect, with STARTTLS.
    pub(crate) fn submission_address(&self) -> Option<SocketAddr> {
        address(&self.submission.listen, ListenTls::StartTls)
    }

    /// Where mail clients connect, with TLS from the start.
    pub(crate) fn submissions_address(&self) -> Option<SocketAddr> {
        address(&self.submission.listen, ListenTls::Implicit)
    }

    /// Where other mail servers connect.
    pub(crate) fn relay_address(&self) -> Option<SocketAddr> {
        self.relay.listen.first().map(|socket| socket.address)
    }

    /// Where LMTP clients connect.
    pub(crate) fn lmtp_address(&self) -> Option<SocketAddr> {
        self.delivery.listen.first().map(|socket| socket.address)
    }

    fn settle_ports(&mut self, flags: &PortFlags) -> Result<(), PortError> {
        let submission = &mut self.submission.listen;
        let start_tls = position(submission, ListenTls::StartTls);
        let implicit = position(submission, ListenTls::Implicit);
        move_to(
            flags.port_submission,
            submission,
            start_tls,
            SUBMISSION_FLAG,
            SUBMISSION,
        )?;
        move_to(
            flags.port_submissions,
            submission,
            implicit,
            SUBMISSIONS_FLAG,
            SUBMISSION,
        )?;
        move_to(
            flags.port_relay,
            &mut self.relay.listen,
            Some(0),
            RELAY_FLAG,
            RELAY,
        )?;
        move_to(
            flags.port_lmtp,
            &mut self.delivery.listen,
            Some(0),
            LMTP_FLAG,
            DELIVERY,
        )?;

        let mut reserved = Reserved::default();
        for socket in &self.submission.listen {
            let flag = match socket.tls {
                ListenTls::Implicit => SUBMISSIONS_FLAG,
                _ => SUBMISSION_FLAG,
            };
            reserved.check(socket.address, flag)?;
        }
        for socket in &self.relay.listen {
            reserved.check(socket.address, RELAY_FLAG)?;
        }
        for socket in &self.delivery.listen {
            reserved.check(socket.address, LMTP_FLAG)?;
        }
        self.move_taken_grpc(&mut reserved)
    }

    /// gRPC ports are nobody's choice but ours: one that is taken gives way to a free one, and
    /// whoever calls there follows.
    fn move_taken_grpc(&mut self, reserved: &mut Reserved) -> Result<(), PortError> {
        if let Some(grpc) = &mut self.submission.grpc {
            grpc.bind = reserved.keep_or_find(grpc.bind)?;
        }
        let relay = self.relay.grpc.bind;
        self.relay.grpc.bind = reserved.keep_or_find(relay)?;
        let delivery = self.delivery.grpc.bind;
        self.delivery.grpc.bind = reserved.keep_or_find(delivery)?;
        let callers = [
            Some(&mut self.submission.directory),
            self.submission.relay.as_mut(),
            Some(&mut self.relay.directory),
            Some(&mut self.relay.delivery),
        ];
        for caller in callers.into_iter().flatten() {
            for target in &mut caller.targets {
                if *target == relay.to_string() {
                    *target = self.relay.grpc.bind.to_string();
                } else if *target == delivery.to_string() {
                    *target = self.delivery.grpc.bind.to_string();
                }
            }
        }
        Ok(())
    }
}

/// The service's own loader, with its environment. The database is dev's, whatever stands there.
fn load<T: DeserializeOwned + Validate>(path: &Path, prefix: &str) -> Result<T, ConfigError> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| !names_database(name))
        .chain([(DATABASE_URL.to_owned(), NO_DATABASE.to_owned())]);
    load_with(Some(path), prefix, environment)
}

/// Whether a variable says where the database of some or all services is, or in which file that is
/// said.
fn names_database(variable: &str) -> bool {
    let name = variable.strip_suffix("_FILE").unwrap_or(variable);
    name == DATABASE_URL || name.ends_with(OWN_DATABASE_URL)
}

fn position(sockets: &[ListenSection], tls: ListenTls) -> Option<usize> {
    sockets.iter().position(|socket| socket.tls == tls)
}

fn address(sockets: &[ListenSection], tls: ListenTls) -> Option<SocketAddr> {
    let socket = sockets.iter().find(|socket| socket.tls == tls)?;
    Some(socket.address)
}

fn move_to(
    port: Option<u16>,
    sockets: &mut [ListenSection],
    index: Option<usize>,
    flag: &'static str,
    file: &'static str,
) -> Result<(), PortError> {
    let Some(port) = port else {
        return Ok(());
    };
    let socket = index.and_then(|index| sockets.get_mut(index));
    socket
        .ok_or(PortError::NoSocket { flag, file })?
        .address
        .set_port(port);
    Ok(())
}
