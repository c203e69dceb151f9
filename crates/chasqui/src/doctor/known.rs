//! What the services' configuration files tell the doctor.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rpc::Target;
use secrecy::SecretString;
use service::config::{
    ConfigError, DatabaseSection, GrpcClientSection, GrpcServerSection, ListenSection,
    TelemetrySection, TlsSection,
};
use smtp::Dialect;

use super::finding::{Finding, Findings};
use crate::config_check::ServiceName;
use crate::service_files::{NO_DATABASE, load};

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
    /// The certificates of gRPC, with the service that shows it to whom it is called by; none for
    /// what callers show.
    pub(super) grpc_certificates: Vec<(TlsSection, Option<&'static str>)>,
    /// Who vouches for these.
    pub(super) authorities: Vec<PathBuf>,
    /// Whom the services here call.
    pub(super) calls: Vec<Call>,
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

/// A section that tells how to call another service.
#[derive(Clone)]
pub(super) struct Call {
    /// Whose configuration it is in.
    caller: &'static str,
    /// What the section is called.
    key: &'static str,
    /// Who is called.
    pub(super) service: &'static str,
    pub(super) section: GrpcClientSection,
}

impl Call {
    pub(super) fn name(&self) -> String {
        format!("[{}] of {}", self.key, self.caller)
    }
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
        if let Some(grpc) = config.grpc {
            self.answer(name, grpc);
        }
        self.call(name, "directory", "delivery", config.directory);
        if let Some(relay) = config.relay {
            self.call(name, "relay", "relay", relay);
        }
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
        self.answer(name, config.grpc);
        self.call(name, "directory", "delivery", config.directory);
        self.call(name, "delivery", "delivery", config.delivery);
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
        self.answer(name, config.grpc);
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

    fn answer(&mut self, service: &'static str, section: GrpcServerSection) {
        self.grpc.push((service, section.bind));
        if let Some(tls) = section.tls {
            let shown = TlsSection {
                certificate: tls.certificate,
                key: tls.key,
            };
            self.grpc_certificates.push((shown, Some(service)));
            self.authorities.extend(tls.client_authority);
        }
    }

    fn call(
        &mut self,
        caller: &'static str,
        key: &'static str,
        service: &'static str,
        section: GrpcClientSection,
    ) {
        if let Some(tls) = &section.tls {
            self.authorities.push(tls.authority.clone());
            let shown = tls.certificate.clone().zip(tls.key.clone());
            let shown = shown.map(|(certificate, key)| TlsSection { certificate, key });
            self.grpc_certificates.extend(shown.map(|it| (it, None)));
        }
        self.calls.push(Call {
            caller,
            key,
            service,
            section,
        });
    }

    /// The names that callers here expect in the certificates of a service.
    pub(super) fn expected_names(&self, service: &str) -> Vec<String> {
        let mut names = Vec::new();
        for call in self.calls.iter().filter(|call| call.service == service) {
            let Some(tls) = &call.section.tls else {
                continue;
            };
            let targets = call.section.targets.iter();
            let targets = targets.filter_map(|text| text.parse::<Target>().ok());
            match &tls.server_name {
                Some(name) => names.push(name.clone()),
                None => names.extend(targets.map(|target| target.host().to_owned())),
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    fn note_database(&mut self, database: &DatabaseSection) {
        if database.url() != NO_DATABASE {
            self.database = database.url.clone();
        }
    }
}
