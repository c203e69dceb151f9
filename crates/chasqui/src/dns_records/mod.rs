//! `chasqui domain dns-records`: what to publish so that mail comes, and is believed.

mod record;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use service::config::{ListenTls, load_with};
use smtp::Domain;

use self::record::{Record, reverse_name};
use crate::certificate::Certificate;
use crate::config_check::ServiceName;
use crate::failure::Failure;
use crate::output::Output;

/// All relays take mail alike.
const PREFERENCE: u16 = 10;

const NOTES: [(&str, &str); 5] = [
    (
        "DKIM",
        "Chasqui does not sign yet, so that there is no key to publish. Until it does, DMARC rests \
         on SPF alone: keep p=none, and count on forwarded mail to fail",
    ),
    (
        "MTA-STS",
        "Chasqui serves no policy over HTTPS. Publish _mta-sts only if a web server of yours does",
    ),
    (
        "TLS-RPT",
        "Chasqui neither sends nor reads reports. Publish _smtp._tls only if somebody reads them",
    ),
    (
        "IMAP, POP",
        "Chasqui serves neither. Publish _imaps._tcp and the like for the server that does",
    ),
    (
        "DMARC",
        "reports come to postmaster, who is there from `chasqui domain add` on; nothing of Chasqui \
         reads them",
    ),
];

/// `chasqui domain dns-records`.
#[derive(Debug, Args)]
pub(crate) struct DnsRecordsArguments {
    /// The domain
    #[arg(value_parser = Domain::parse)]
    domain: Domain,
    /// Configuration files: relay.toml tells the MX and its certificate, submission.toml where
    /// mail clients go
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "mx")]
    config: Vec<PathBuf>,
    /// Names of relays, besides those of --config
    #[arg(long, value_name = "NAME", value_parser = Domain::parse)]
    mx: Vec<Domain>,
    /// Public addresses that mail is sent from: for SPF, and their reverse
    #[arg(long, value_name = "ADDRESS")]
    address: Vec<IpAddr>,
    /// The relays' certificate, for TLSA
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

/// What there is to publish.
#[derive(Serialize)]
struct Advice {
    domain: String,
    /// In the domain's zone, or that of the hosts.
    records: Vec<Record>,
    /// In the zones of whoever gave out the addresses.
    reverse: Vec<Record>,
    notes: Vec<Note>,
}

#[derive(Serialize)]
struct Note {
    about: &'static str,
    text: String,
}

/// What the configurations tell.
#[derive(Default)]
struct Hosts {
    relays: Vec<String>,
    certificate: Option<PathBuf>,
    submission: Option<(String, Vec<(ListenTls, SocketAddr)>)>,
}

pub(crate) fn run(arguments: &DnsRecordsArguments, output: Output) -> Result<(), Failure> {
    let hosts = Hosts::of(arguments)?;
    let domain = &arguments.domain;
    let mut advice = Advice {
        domain: domain.to_string(),
        records: receiving(domain, &hosts),
        reverse: Vec::new(),
        notes: notes(),
    };
    advice
        .records
        .extend(sending(domain, &hosts, &arguments.address));
    advice.records.extend(clients(domain, &hosts));
    let certificate = arguments
        .certificate
        .as_ref()
        .or(hosts.certificate.as_ref());
    match certificate
        .map(|path| Certificate::read(path))
        .transpose()?
    {
        Some(certificate) => advice.records.extend(tlsa(&hosts, &certificate)),
        None => advice.notes.push(Note {
            about: "TLSA",
            text: "give --certificate FILE of the relays to have it printed".to_owned(),
        }),
    }
    reverse(&hosts, &arguments.address, &mut advice);
    output.one(&advice, || in_words(&advice))
}

impl Hosts {
    fn of(arguments: &DnsRecordsArguments) -> Result<Self, Failure> {
        let mut hosts = Self::default();
        for file in &arguments.config {
            match ServiceName::of_file(file) {
                Some(ServiceName::Relay) => {
                    let config: relay::Config = load(file, relay::ENVIRONMENT_PREFIX)?;
                    hosts.relays.push(config.host_name);
                    hosts.certificate = config.tls.map(|tls| tls.certificate);
                }
                Some(ServiceName::Submission) => {
                    let config: submission::Config = load(file, submission::ENVIRONMENT_PREFIX)?;
                    let sockets = config.listen.iter().map(|it| (it.tls, it.address));
                    hosts.submission = Some((config.host_name, sockets.collect()));
                }
                Some(ServiceName::Delivery) => {}
                None => return Err(Failure::WhichService(file.clone())),
            }
        }
        hosts
            .relays
            .extend(arguments.mx.iter().map(Domain::to_string));
        hosts.relays.dedup();
        if hosts.relays.is_empty() {
            return Err(Failure::NoRelayNamed);
        }
        Ok(hosts)
    }
}

/// The database has no say here.
fn load<T>(file: &Path, prefix: &str) -> Result<T, service::config::ConfigError>
where
    T: serde::de::DeserializeOwned + service::config::Validate,
{
    let stand_in = (
        "DATABASE_URL".to_owned(),
        "postgres://127.0.0.1/".to_owned(),
    );
    load_with(Some(file), prefix, [stand_in])
}

fn receiving(domain: &Domain, hosts: &Hosts) -> Vec<Record> {
    let why = "where mail for the domain goes (RFC 5321 §5.1)";
    let relays = hosts.relays.iter();
    relays
        .map(|host| Record::new(domain, "MX", format_args!("{PREFERENCE} {host}."), why))
        .collect()
}

fn sending(domain: &Domain, hosts: &Hosts, addresses: &[IpAddr]) -> Vec<Record> {
    let mut spf = "v=spf1 mx".to_owned();
    for address in addresses {
        let family = if address.is_ipv4() { "ip4" } else { "ip6" };
        spf.push_str(&format!(" {family}:{address}"));
    }
    spf.push_str(" ~all");
    let why = "who sends mail of the domain (RFC 7208); -all once nobody else does";
    let mut records = vec![Record::text(domain, &spf, why)];
    for host in &hosts.relays {
        let why = "the same for reports, whose reverse-path is null (RFC 7208 §2.4)";
        records.push(Record::text(host, "v=spf1 a -all", why));
    }
    let dmarc = format!("v=DMARC1; p=none; rua=mailto:postmaster@{domain}");
    let why = "what to do with what fails (RFC 7489): nothing yet, but tell";
    records.push(Record::text(format_args!("_dmarc.{domain}"), &dmarc, why));
    records
}

fn clients(domain: &Domain, hosts: &Hosts) -> Vec<Record> {
    let Some((host, sockets)) = &hosts.submission else {
        return Vec::new();
    };
    let records = sockets.iter().filter_map(|(tls, address)| {
        let (service, why) = match tls {
            ListenTls::Implicit => (
                "_submissions",
                "where mail clients send, by TLS (RFC 8314 §5.1)",
            ),
            ListenTls::StartTls => (
                "_submission",
                "where mail clients send, by STARTTLS (RFC 6186)",
            ),
            ListenTls::None => return None,
        };
        let name = format!("{service}._tcp.{domain}");
        let value = format!("0 1 {} {host}.", address.port());
        Some(Record::new(name, "SRV", value, why))
    });
    records.collect()
}

fn tlsa(hosts: &Hosts, certificate: &Certificate) -> Vec<Record> {
    let why = "the relays' key (RFC 7672): only in a zone signed by DNSSEC, and the new key's record \
               before the key is changed";
    let digest = &certificate.key_digest;
    let covered = hosts.relays.iter().filter(|host| certificate.is_for(host));
    covered
        .map(|host| {
            Record::new(
                format_args!("_25._tcp.{host}"),
                "TLSA",
                format_args!("3 1 1 {digest}"),
                why,
            )
        })
        .collect()
}

/// Which address is whose is only known where there is one relay.
fn reverse(hosts: &Hosts, addresses: &[IpAddr], advice: &mut Advice) {
    match (hosts.relays.as_slice(), addresses) {
        (_, []) => advice.notes.push(Note {
            about: "PTR",
            text: "the reverse of each address that mail is sent from must tell the name of the \
                   relay there, and that name must lead back: ask whoever gave you the address. \
                   --address prints the records"
                .to_owned(),
        }),
        ([host], addresses) => {
            for address in addresses {
                let kind = if address.is_ipv4() { "A" } else { "AAAA" };
                let why = "the relay's address";
                advice.records.push(Record::new(host, kind, address, why));
                let why = "set by whoever gave you the address";
                let value = format!("{host}.");
                let name = reverse_name(*address);
                advice.reverse.push(Record::new(name, "PTR", value, why));
            }
        }
        (_, addresses) => {
            for address in addresses {
                let why = "RELAY: the name of the relay there";
                let name = reverse_name(*address);
                advice.reverse.push(Record::new(name, "PTR", "RELAY.", why));
            }
        }
    }
}

fn notes() -> Vec<Note> {
    let notes = NOTES.into_iter();
    notes
        .map(|(about, text)| Note {
            about,
            text: text.to_owned(),
        })
        .collect()
}

/// A zone file with comments.
fn in_words(advice: &Advice) -> String {
    let mut lines = Vec::new();
    for record in &advice.records {
        lines.push(format!("; {}", record.why));
        lines.push(record.to_string());
    }
    if !advice.reverse.is_empty() {
        lines.push(String::new());
        for record in &advice.reverse {
            lines.push(format!("; {}", record.why));
            lines.push(format!("; {record}"));
        }
    }
    lines.push(String::new());
    for note in &advice.notes {
        lines.push(format!("; {}: {}.", note.about, note.text));
    }
    lines.join("\n")
}
