//! The hosts that records are about: from the configurations, and from the arguments.

use std::path::PathBuf;

use service::config::{ListenSection, ListenTls};
use smtp::Domain;

use super::DnsRecordsArguments;
use crate::certificate::Certificate;
use crate::config_check::ServiceName;
use crate::failure::Failure;
use crate::service_files::load_without_database;

/// What is known of all hosts.
#[derive(Default)]
pub(super) struct Hosts {
    /// Each name once.
    pub(super) relays: Vec<Relay>,
    /// Where mail clients go, each place once.
    pub(super) entries: Vec<Entry>,
    /// Ports that submission listens on, whose records tell the public one.
    pub(super) behind: Vec<(Protocol, u16)>,
}

/// A relay, or several of one name.
pub(super) struct Relay {
    pub(super) name: String,
    /// Those that its configurations name.
    pub(super) certificates: Vec<PathBuf>,
}

/// Where mail clients send, as they reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) protocol: Protocol,
    pub(super) host: String,
    pub(super) port: u16,
}

/// How mail clients send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// With STARTTLS (RFC 6409, RFC 6186).
    Submission,
    /// In TLS from the first octet (RFC 8314).
    Submissions,
}

impl Protocol {
    /// As services are named in SRV records, and the flag that overrides the port.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Submission => "submission",
            Self::Submissions => "submissions",
        }
    }

    /// The one that mail clients try by themselves.
    pub(super) const fn port(self) -> u16 {
        match self {
            Self::Submission => 587,
            Self::Submissions => 465,
        }
    }

    const fn of(tls: ListenTls) -> Option<Self> {
        match tls {
            ListenTls::StartTls => Some(Self::Submission),
            ListenTls::Implicit => Some(Self::Submissions),
            ListenTls::None => None,
        }
    }
}

/// A host, and its port if it is an unusual one: `HOST[:PORT]`.
#[derive(Clone, Debug)]
pub(super) struct Place {
    host: Domain,
    port: Option<u16>,
}

impl Place {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        let port = port.map(|port| match port.parse() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(format!("`{port}` is no port")),
        });
        Ok(Self {
            host: Domain::parse(host).map_err(|error| error.to_string())?,
            port: port.transpose()?,
        })
    }
}

impl Hosts {
    pub(super) fn of(arguments: &DnsRecordsArguments) -> Result<Self, Failure> {
        let mut hosts = Self::default();
        for (protocol, places) in [
            (Protocol::Submission, &arguments.submission),
            (Protocol::Submissions, &arguments.submissions),
        ] {
            for place in places {
                let port = place.port.unwrap_or(protocol.port());
                hosts.add_entry(protocol, place.host.to_string(), port);
            }
        }
        // What is told by hand stands in for what the files tell.
        let told: Vec<Protocol> = hosts.entries.iter().map(|entry| entry.protocol).collect();
        for file in &arguments.config {
            match ServiceName::of_file(file) {
                Some(ServiceName::Relay) => {
                    let prefix = relay::ENVIRONMENT_PREFIX;
                    let config: relay::Config = load_without_database(file, prefix)?;
                    let certificate = config.tls.map(|tls| tls.certificate);
                    hosts.add_relay(config.host_name, certificate);
                }
                Some(ServiceName::Submission) => {
                    let prefix = submission::ENVIRONMENT_PREFIX;
                    let config: submission::Config = load_without_database(file, prefix)?;
                    hosts.add_submission(&config.host_name, &config.listen, &told);
                }
                Some(ServiceName::Delivery) => {}
                None => return Err(Failure::WhichService(file.clone())),
            }
        }
        for name in &arguments.mx {
            hosts.add_relay(name.to_string(), None);
        }
        if hosts.relays.is_empty() {
            return Err(Failure::NoRelayNamed);
        }
        Ok(hosts)
    }

    /// Several relays may go by one name, each with a certificate of its own.
    fn add_relay(&mut self, name: String, certificate: Option<PathBuf>) {
        let mut relays = self.relays.iter_mut();
        match relays.find(|relay| relay.name.eq_ignore_ascii_case(&name)) {
            Some(relay) => relay.certificates.extend(certificate),
            None => self.relays.push(Relay {
                name,
                certificates: certificate.into_iter().collect(),
            }),
        }
    }

    /// What it listens on is often behind a balancer or a container's published port, so that the
    /// records tell the ports that mail clients expect.
    fn add_submission(&mut self, host: &str, listen: &[ListenSection], told: &[Protocol]) {
        for socket in listen {
            let Some(protocol) = Protocol::of(socket.tls) else {
                continue;
            };
            if told.contains(&protocol) {
                continue;
            }
            self.add_entry(protocol, host.to_owned(), protocol.port());
            let behind = (protocol, socket.address.port());
            if behind.1 != protocol.port() && !self.behind.contains(&behind) {
                self.behind.push(behind);
            }
        }
    }

    fn add_entry(&mut self, protocol: Protocol, host: String, port: u16) {
        let entry = Entry {
            protocol,
            host,
            port,
        };
        if !self.entries.contains(&entry) {
            self.entries.push(entry);
        }
    }

    /// The certificates that a relay may show, and where each is: its own, or else those of the
    /// others, one of which may be for several.
    pub(super) fn certificates(
        &self,
        relay: &Relay,
    ) -> Result<Vec<(PathBuf, Certificate)>, Failure> {
        let others = self.relays.iter().flat_map(|relay| &relay.certificates);
        let files: Vec<&PathBuf> = if relay.certificates.is_empty() {
            others.collect()
        } else {
            relay.certificates.iter().collect()
        };
        let read = files
            .into_iter()
            .map(|file| Ok((file.clone(), Certificate::read(file)?)));
        read.collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_place_is_a_host_and_perhaps_a_port() {
        let place = |text| Place::parse(text).map(|it| (it.host.to_string(), it.port));
        assert_eq!(
            place("mail.example.org"),
            Ok(("mail.example.org".to_owned(), None))
        );
        assert_eq!(
            place("a.example:26"),
            Ok(("a.example".to_owned(), Some(26)))
        );
        for wrong in [
            "",
            ":587",
            "a.example:",
            "a.example:0",
            "a.example:x",
            "::1",
        ] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
