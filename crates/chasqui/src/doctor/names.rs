//! What the DNS says of this host and of the local domains.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData};

use super::finding::{Finding, Findings};

/// For one question to one nameserver, which is asked twice.
const QUESTION: Duration = Duration::from_secs(2);
/// For all of them: a DNS that answers no sooner is the finding.
const ALL: Duration = Duration::from_secs(30);

/// Looks up this host's names, and the MX of the local domains.
pub(super) async fn look(
    nameservers: &[SocketAddr],
    host_names: &[String],
    relay_names: &[String],
    domains: &[String],
) -> Vec<Finding> {
    let mut findings = Findings::of("dns");
    let resolver = match resolver(nameservers) {
        Ok(resolver) => resolver,
        Err(error) => {
            let remedy = "mend /etc/resolv.conf, or give --nameserver";
            findings.problem("resolver", error.to_string(), remedy);
            return findings.list;
        }
    };
    if host_names.is_empty() {
        let remedy = "give --config FILE of the services here, or --host-name";
        findings.warn("host name", "is not known", remedy);
    }
    let all = async {
        for name in host_names {
            about_host(&resolver, name, &mut findings).await;
        }
        for domain in domains {
            about_domain(&resolver, domain, relay_names, &mut findings).await;
        }
    };
    if tokio::time::timeout(ALL, all).await.is_err() {
        let found = format!("did not answer everything within {} s", ALL.as_secs());
        let remedy = "use a resolver nearby: mail waits for it";
        findings.problem("resolver", found, remedy);
    }
    findings.list
}

fn resolver(nameservers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let mut builder = if nameservers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = nameservers.iter().map(|address| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            let connections = connections.map(|mut connection| {
                connection.port = address.port();
                connection
            });
            NameServerConfig::new(address.ip(), true, connections.to_vec())
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect::<Vec<_>>());
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.ndots = 0;
    options.timeout = QUESTION;
    options.attempts = 2;
    builder.build()
}

/// RFC 5321 §2.3.5 wants a name that resolves, and most of the net a reverse that agrees
/// (RFC 1912 §2.1).
async fn about_host(resolver: &TokioResolver, name: &str, findings: &mut Findings) {
    let Some(absolute) = absolute(name) else {
        findings.problem(
            name,
            "is no name",
            "set host_name to this host's name in the DNS",
        );
        return;
    };
    let addresses: Vec<IpAddr> = match resolver.lookup_ip(absolute).await {
        Ok(found) => found.iter().collect(),
        Err(error) => {
            let remedy = format!(
                "publish an A or AAAA record of {name}: others refuse mail from a host whose name leads nowhere"
            );
            findings.problem(
                name,
                format!("has no address: {}", in_words(&error)),
                remedy,
            );
            return;
        }
    };
    for address in addresses {
        if is_public(address) {
            about_reverse(resolver, name, address, findings).await;
        } else {
            let found = format!("leads to {address}, which nobody else reaches");
            let remedy = format!("have the public DNS tell the public address of {name}");
            findings.warn(name, found, remedy);
        }
    }
}

async fn about_reverse(
    resolver: &TokioResolver,
    name: &str,
    address: IpAddr,
    findings: &mut Findings,
) {
    let names: Vec<String> = match resolver.reverse_lookup(address).await {
        Ok(found) => {
            let records = found.answers().iter();
            let names = records.filter_map(|record| match &record.data {
                RData::PTR(pointer) => Some(in_text(&pointer.0)),
                _ => None,
            });
            names.collect()
        }
        Err(_) => Vec::new(),
    };
    if names.iter().any(|found| found.eq_ignore_ascii_case(name)) {
        findings.ok(name, format!("leads to {address} and back"));
        return;
    }
    let found = if names.is_empty() {
        format!("leads to {address}, which has no reverse")
    } else {
        format!("leads to {address}, and that to {}", names.join(", "))
    };
    let remedy = format!(
        "have whoever gave you {address} set its reverse (PTR) to {name}: large providers refuse \
         mail without"
    );
    findings.problem(name, found, remedy);
}

async fn about_domain(
    resolver: &TokioResolver,
    domain: &str,
    relay_names: &[String],
    findings: &mut Findings,
) {
    let remedy = format!("`chasqui domain dns-records {domain}` prints what to publish");
    let Some(absolute) = absolute(domain) else {
        return;
    };
    let hosts: Vec<String> = match resolver.mx_lookup(absolute).await {
        Ok(found) => {
            let records = found.answers().iter();
            let hosts = records.filter_map(|record| match &record.data {
                RData::MX(mx) => Some(in_text(&mx.exchange)),
                _ => None,
            });
            hosts.collect()
        }
        Err(error) => {
            findings.problem(domain, format!("has no MX: {}", in_words(&error)), remedy);
            return;
        }
    };
    let is_ours = |host: &String| relay_names.iter().any(|own| own.eq_ignore_ascii_case(host));
    let found = format!("MX {}", hosts.join(", "));
    if relay_names.is_empty() || hosts.iter().any(is_ours) {
        findings.ok(domain, found);
    } else {
        let own = relay_names.join(", ");
        let found = format!("{found}: not {own}");
        let remedy = format!("make sure that these lead to relays of this fleet; {remedy}");
        findings.warn(domain, found, remedy);
    }
}

fn in_words(error: &NetError) -> String {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(NoRecords { response_code, .. })) => {
            match *response_code {
                ResponseCode::NXDomain => "no such name".to_owned(),
                ResponseCode::NoError => "no such record".to_owned(),
                code => format!("the DNS answers {code}"),
            }
        }
        error => error.to_string(),
    }
}

fn absolute(name: &str) -> Option<Name> {
    let mut parsed = Name::from_ascii(name).ok()?;
    parsed.set_fqdn(true);
    Some(parsed)
}

fn in_text(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_owned()
}

/// Not one of RFC 6890's addresses for use at home.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => {
            !(it.is_private() || it.is_loopback() || it.is_link_local() || it.is_unspecified())
        }
        IpAddr::V6(it) => {
            !(it.is_loopback()
                || it.is_unspecified()
                || it.is_unique_local()
                || it.is_unicast_link_local())
        }
    }
}
