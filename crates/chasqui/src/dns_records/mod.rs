//! `chasqui domain dns-records`: what to publish so that mail comes, and is believed.

mod hosts;
mod record;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use smtp::Domain;

use self::hosts::{Hosts, Place, Protocol, Relay};
use self::record::{Record, reverse_name};
use crate::certificate::Certificate;
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
    /// Configuration files, read with the environment: relay.toml tells the MX and its
    /// certificate, submission.toml the host that mail clients go to
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "mx")]
    config: Vec<PathBuf>,
    /// Names of relays, besides those of --config
    #[arg(long, value_name = "NAME", value_parser = Domain::parse)]
    mx: Vec<Domain>,
    /// Public addresses that mail is sent from: for SPF, and their reverse
    #[arg(long, value_name = "ADDRESS")]
    address: Vec<IpAddr>,
    /// The certificate of all relays, for TLSA [default: those of --config]
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Where mail clients send by STARTTLS, as they reach it [default: that of --config, port 587
    /// whatever it listens on]
    #[arg(long, value_name = "HOST[:PORT]", value_parser = Place::parse)]
    submission: Vec<Place>,
    /// Where mail clients send by TLS, as they reach it [default: that of --config, port 465
    /// whatever it listens on]
    #[arg(long, value_name = "HOST[:PORT]", value_parser = Place::parse)]
    submissions: Vec<Place>,
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
    advice.notes.extend(published_ports(&hosts));
    let certificate = arguments.certificate.as_ref();
    let of_all = certificate.map(|file| Ok::<_, Failure>((file.clone(), Certificate::read(file)?)));
    let of_all = of_all.transpose()?;
    for relay in &hosts.relays {
        match &of_all {
            Some(certificate) => tlsa(relay, std::slice::from_ref(certificate), &mut advice),
            None => tlsa(relay, &hosts.certificates(relay)?, &mut advice),
        }
    }
    reverse(&hosts, &arguments.address, &mut advice);
    output.one(&advice, || in_words(&advice))
}

fn receiving(domain: &Domain, hosts: &Hosts) -> Vec<Record> {
    let why = "where mail for the domain goes (RFC 5321 §5.1)";
    let relays = hosts.relays.iter();
    relays
        .map(|relay| {
            let value = format!("{PREFERENCE} {}.", relay.name);
            Record::new(domain, "MX", value, why)
        })
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
    for relay in &hosts.relays {
        let why = "the same for reports, whose reverse-path is null (RFC 7208 §2.4)";
        records.push(Record::text(&relay.name, "v=spf1 a -all", why));
    }
    let dmarc = format!("v=DMARC1; p=none; rua=mailto:postmaster@{domain}");
    let why = "what to do with what fails (RFC 7489): nothing yet, but tell";
    records.push(Record::text(format_args!("_dmarc.{domain}"), &dmarc, why));
    records
}

fn clients(domain: &Domain, hosts: &Hosts) -> Vec<Record> {
    let records = hosts.entries.iter().map(|entry| {
        let why = match entry.protocol {
            Protocol::Submission => "where mail clients send, by STARTTLS (RFC 6186)",
            Protocol::Submissions => "where mail clients send, by TLS (RFC 8314 §5.1)",
        };
        let name = format!("_{}._tcp.{domain}", entry.protocol.name());
        let value = format!("0 1 {} {}.", entry.port, entry.host);
        Record::new(name, "SRV", value, why)
    });
    records.collect()
}

/// Only who set up the way there knows whether the public port leads to the one listened on.
fn published_ports(hosts: &Hosts) -> Vec<Note> {
    let notes = hosts.behind.iter().map(|(protocol, port)| {
        let (public, flag) = (protocol.port(), protocol.name());
        let text = format!(
            "submission listens on {port}: see to it that {public} leads there, or give the port \
             that does by --{flag} HOST:PORT"
        );
        Note { about: "SRV", text }
    });
    notes.collect()
}

/// A record for each key that the relay may show.
fn tlsa(relay: &Relay, certificates: &[(PathBuf, Certificate)], advice: &mut Advice) {
    let why = "the relays' key (RFC 7672): only in a zone signed by DNSSEC, and the new key's record \
               before the key is changed";
    let name = &relay.name;
    let fitting = certificates.iter().filter(|(_, it)| it.is_for(name));
    let mut digests: Vec<&str> = fitting.map(|(_, it)| it.key_digest.as_str()).collect();
    digests.sort_unstable();
    digests.dedup();
    if digests.is_empty() {
        advice.notes.push(Note {
            about: "TLSA",
            text: without_tlsa(relay, certificates),
        });
    }
    advice.records.extend(digests.into_iter().map(|digest| {
        let value = format_args!("3 1 1 {digest}");
        Record::new(format_args!("_25._tcp.{name}"), "TLSA", value, why)
    }));
}

fn without_tlsa(relay: &Relay, certificates: &[(PathBuf, Certificate)]) -> String {
    let name = &relay.name;
    if certificates.is_empty() {
        return format!("give --certificate FILE of {name} to have it printed");
    }
    let files = certificates.iter();
    let files: Vec<String> = files.map(|(it, _)| it.display().to_string()).collect();
    format!("none for {name}: {} is not for it", files.join(", "))
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
        ([relay], addresses) => {
            let host = &relay.name;
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
