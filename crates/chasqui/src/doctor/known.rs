//! What the services' configuration files tell the doctor.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::de::DeserializeOwned;
use service::config::{
    ConfigError, DatabaseSection, ListenSection, Problem, TelemetrySection, TlsSection, Validate,
    load_with,
};
use smtp::Dialect;

use super::finding::{Finding, Findings};
use crate::config_check::ServiceName;

const DATABASE_URL: &str = "DATABASE_URL";
/// Stands for a database that is given in another way, or not at all.
const NO_DATABASE: &str = "postgres://127.0.0.1/";

/// What is known of the services on this machine.
#[derive(Default)]
pub(super) struct Known {
    /// The names of the relays here, which MX records should tell.
    pub(super) relay_names: Vec<String>,
    /// All names of this machine, each once.
    pub(super) host_names: Vec<String>,
    pub(super) sockets: Vec<Socket>,
    /// Where gRPC is answered, and by whom.
    pub(super) grpc: Vec<(&'static str, SocketAddr)>,
    pub(super) telemetry: Vec<(&'static str, TelemetrySection)>,
    /// The certificates, and the names that they are to be for.
    pub(super) certificates: Vec<(TlsSection, String)>,
    pub(super) nameservers: Vec<SocketAddr>,
    pub(super) mail: Vec<PathBuf>,
    pub(super) database: Option<SecretString>,
}

/// An SMTP or LMTP socket of a service.
#[derive(Clone)]
pub(super) struct Socket {
    pub(super) service: &'static str,
    pub(super) listen: ListenSection,
    pub(super) dialect: Dialect,
    pub(super) host_name: String,
}

impl Known {
    /// Reads what can be read; tells of the rest.
    pub(super) fn read(files: &[PathBuf]) -> (Self, Vec<Finding>) {
        let mut known = Self::default();
        let mut findings = Findings::of("configuration");
        for file in files {
            let subject = file.display().to_string();
            let read = match ServiceName::of_file(file) {
                Some(ServiceName::Submission) => known.read_submission(file),
                Some(ServiceName::Relay) => known.read_relay(file),
                Some(ServiceName::Delivery) => known.read_delivery(file),
                None => {
                    let remedy = "name it after its service: relay.toml, for one";
                    findings.problem(subject, "tells no service by its name", remedy);
                    continue;
                }
            };
            match read {
                Ok(()) => findings.ok(subject, "the service would start with it"),
                Err(error) => {
                    let remedy = "see `chasqui config check`";
                    let error = service::one_line(&error).replace('\n', "; ");
                    findings.problem(subject, error, remedy);
                }
            }
        }
        known.host_names.sort();
        known.host_names.dedup();
        (known, findings.list)
    }

    fn read_submission(&mut self, file: &Path) -> Result<(), ConfigError> {
        let config: submission::Config = load(file, submission::ENVIRONMENT_PREFIX)?;
        let name = "submission";
        self.note_database(&config.database);
        self.listen(name, &config.listen, Dialect::Smtp, &config.host_name);
        self.certificates
            .push((config.tls, config.host_name.clone()));
        self.grpc.extend(config.grpc.map(|grpc| (name, grpc.bind)));
        self.telemetry.push((name, config.telemetry));
        self.host_names.push(config.host_name);
        Ok(())
    }

    fn read_relay(&mut self, file: &Path) -> Result<(), ConfigError> {
        let config: relay::Config = load(file, relay::ENVIRONMENT_PREFIX)?;
        let name = "relay";
        self.note_database(&config.database);
        self.listen(name, &config.listen, Dialect::Smtp, &config.host_name);
        let tls = config.tls.map(|tls| (tls, config.host_name.clone()));
        self.certificates.extend(tls);
        self.grpc.push((name, config.grpc.bind));
        self.telemetry.push((name, config.telemetry));
        self.nameservers.extend(config.dns.nameservers);
        self.relay_names.push(config.host_name.clone());
        self.host_names.push(config.host_name);
        Ok(())
    }

    fn read_delivery(&mut self, file: &Path) -> Result<(), ConfigError> {
        let config: delivery::Config = load(file, delivery::ENVIRONMENT_PREFIX)?;
        let name = "delivery";
        self.note_database(&config.database);
        self.listen(name, &config.listen, Dialect::Lmtp, &config.host_name);
        let tls = config.tls.map(|tls| (tls, config.host_name.clone()));
        self.certificates.extend(tls);
        self.grpc.push((name, config.grpc.bind));
        self.telemetry.push((name, config.telemetry));
        self.mail.push(config.maildir.root);
        Ok(())
    }

    fn listen(
        &mut self,
        service: &'static str,
        sockets: &[ListenSection],
        dialect: Dialect,
        host_name: &str,
    ) {
        self.sockets.extend(sockets.iter().map(|listen| Socket {
            service,
            listen: listen.clone(),
            dialect,
            host_name: host_name.to_owned(),
        }));
    }

    fn note_database(&mut self, database: &DatabaseSection) {
        if database.url() != NO_DATABASE {
            self.database = database.url.clone();
        }
    }
}

/// As the service reads it; that it may have no database here is no fault of the file.
fn load<T: DeserializeOwned + Validate>(file: &Path, prefix: &str) -> Result<T, ConfigError> {
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    match load_with(Some(file), prefix, environment.clone()) {
        Err(ConfigError::Invalid(problems))
            if problems.iter().all(|it| is_missing_database(&it.problem)) =>
        {
            let stand_in = (DATABASE_URL.to_owned(), NO_DATABASE.to_owned());
            load_with(
                Some(file),
                prefix,
                environment.into_iter().chain([stand_in]),
            )
        }
        loaded => loaded,
    }
}

fn is_missing_database(problem: &Problem) -> bool {
    problem.key == "database.url" && problem.message.starts_with("is missing")
}
