//! From a next hop to the hosts that may take the mail, in the order in which to try them (RFC 5321
//! §5.1).

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData};
use ipnet::IpNet;
use rand::seq::SliceRandom;

use super::failure::Failure;
use super::route::SmartHost;

/// More MX hosts than this aren't looked at in one attempt: each may cost a connect deadline.
const MAX_HOSTS: usize = 8;
/// More addresses of one host than this aren't tried in one attempt.
const MAX_ADDRESSES: usize = 3;

/// A host that may take the mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MxHost {
    /// Its name (the TLS server name), or the text of its address.
    pub(crate) name: String,
    /// TCP port.
    pub(crate) port: u16,
    /// Preference, lower first (RFC 5321 §5.1).
    pub(crate) preference: u16,
    /// Fixed by the operator: such a host may be anywhere, loopback too.
    pub(crate) trusted: bool,
}

/// Finds hosts and their addresses.
pub(crate) struct MxResolver {
    resolver: TokioResolver,
    settings: MxSettings,
}

/// What the resolver must know.
#[derive(Debug, Clone)]
pub(crate) struct MxSettings {
    /// Nameservers to ask; those of the system when empty.
    pub(crate) nameservers: Vec<SocketAddr>,
    /// This relay's own names: as an MX they mean that the mail has arrived where it can't go on.
    pub(crate) own_names: Vec<String>,
    /// The port of an MX: 25 but in tests.
    pub(crate) port: u16,
    /// Networks in which no MX of somebody else's choosing may lie.
    pub(crate) refused_networks: Vec<IpNet>,
}

impl MxResolver {
    /// Prepares the look-ups; nothing is asked yet.
    ///
    /// # Errors
    /// The system's resolver configuration can't be read.
    pub(crate) fn new(settings: MxSettings) -> Result<Self, NetError> {
        let builder = if settings.nameservers.is_empty() {
            TokioResolver::builder_tokio()?
        } else {
            let config =
                ResolverConfig::from_parts(None, vec![], name_servers(&settings.nameservers));
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let mut builder = builder;
        // A name from a mail address is a full one: neither a search list nor a hosts file has a
        // say.
        builder.options_mut().ndots = 0;
        Ok(Self {
            resolver: builder.build()?,
            settings,
        })
    }

    /// The hosts that the DNS names for a mail domain, in the order in which to try them: by
    /// preference, and at random among equals.
    ///
    /// # Errors
    /// A [`Failure`]: no such domain, null MX, a loop, or the DNS gave no answer.
    pub(crate) async fn mx_hosts(&self, domain: &str) -> Result<Vec<MxHost>, Failure> {
        if let Some(literal) = address_literal(domain) {
            return Ok(vec![self.host(literal.to_string(), 0)]);
        }
        let name = absolute(domain)?;
        let hosts = match self.resolver.mx_lookup(name).await {
            Ok(lookup) => lookup
                .answers()
                .iter()
                .filter_map(|record| match &record.data {
                    RData::MX(mx) => Some(self.host(host_name(&mx.exchange), mx.preference)),
                    _ => None,
                })
                .collect(),
            Err(error) => match negative(&error) {
                Some(ResponseCode::NXDomain) => {
                    return Err(Failure::no_such_domain(format!(
                        "the domain {domain} does not exist"
                    )));
                }
                Some(_) => vec![],
                None => return Err(Failure::dns(format!("MX look-up of {domain}: {error}"))),
            },
        };
        if hosts.is_empty() {
            // RFC 5321 §5.1: without MX records the domain itself is the host ("implicit MX").
            return Ok(vec![self.host(domain.to_owned(), 0)]);
        }
        if hosts.iter().any(|host| host.name.is_empty()) {
            return if hosts.len() == 1 {
                Err(Failure::null_mx(domain))
            } else {
                // RFC 7505 §3: a null MX beside others is a mistake; the others are meant.
                self.order(
                    domain,
                    hosts
                        .into_iter()
                        .filter(|host| !host.name.is_empty())
                        .collect(),
                )
            };
        }
        self.order(domain, hosts)
    }

    /// The one host of a route.
    pub(crate) fn smart_host(&self, smart_host: &SmartHost) -> Vec<MxHost> {
        vec![MxHost {
            name: smart_host.host.clone(),
            port: smart_host.port,
            preference: 0,
            trusted: true,
        }]
    }

    /// The addresses of a host, in the order in which to try them.
    ///
    /// # Errors
    /// A [`Failure`]: no address, only refused ones, or the DNS gave no answer.
    pub(crate) async fn addresses(&self, host: &MxHost) -> Result<Vec<SocketAddr>, Failure> {
        let found = match host.name.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.look_up_addresses(&host.name).await?,
        };
        let mut allowed: Vec<SocketAddr> = found
            .iter()
            .filter(|address| host.trusted || !self.is_refused(**address))
            .map(|address| SocketAddr::new(*address, host.port))
            .collect();
        if allowed.is_empty() {
            return Err(Failure::no_such_domain(format!(
                "{} has only addresses where no public mail host can be ({})",
                host.name,
                found
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
            )));
        }
        allowed.truncate(MAX_ADDRESSES);
        Ok(allowed)
    }

    async fn look_up_addresses(&self, name: &str) -> Result<Vec<IpAddr>, Failure> {
        match self.resolver.lookup_ip(absolute(name)?).await {
            Ok(lookup) => Ok(lookup.iter().collect()),
            Err(error) if negative(&error).is_some() => Err(Failure::no_such_domain(format!(
                "the mail host {name} has no address"
            ))),
            Err(error) => Err(Failure::dns(format!("address look-up of {name}: {error}"))),
        }
    }

    /// Sorts, and cuts at this relay's own name: hosts that are no better than ourselves would send
    /// the mail back (RFC 5321 §5.1).
    fn order(&self, domain: &str, mut hosts: Vec<MxHost>) -> Result<Vec<MxHost>, Failure> {
        let own = hosts
            .iter()
            .filter(|host| self.is_own(&host.name))
            .map(|host| host.preference)
            .min();
        if let Some(own) = own {
            hosts.retain(|host| host.preference < own);
            if hosts.is_empty() {
                return Err(Failure::routing_loop(format!(
                    "this host is the best MX of {domain}, which is not one of its domains; \
                     add the domain here or correct its MX records"
                )));
            }
        }
        hosts.shuffle(&mut rand::rng());
        hosts.sort_by_key(|host| host.preference);
        hosts.truncate(MAX_HOSTS);
        Ok(hosts)
    }

    fn is_own(&self, name: &str) -> bool {
        self.settings
            .own_names
            .iter()
            .any(|own| own.eq_ignore_ascii_case(name))
    }

    fn is_refused(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.settings
            .refused_networks
            .iter()
            .any(|network| network.contains(&address))
    }

    fn host(&self, name: String, preference: u16) -> MxHost {
        MxHost {
            name,
            port: self.settings.port,
            preference,
            trusted: false,
        }
    }
}

fn name_servers(addresses: &[SocketAddr]) -> Vec<NameServerConfig> {
    let on_port = |mut connection: ConnectionConfig, port| {
        connection.port = port;
        connection
    };
    addresses
        .iter()
        .map(|address| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            let connections = connections.map(|connection| on_port(connection, address.port()));
            NameServerConfig::new(address.ip(), true, connections.to_vec())
        })
        .collect()
}

/// The response code of an answer that says that there is no such record; `None` when there was no
/// such answer.
fn negative(error: &NetError) -> Option<ResponseCode> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(NoRecords { response_code, .. }))
            if matches!(
                *response_code,
                ResponseCode::NoError | ResponseCode::NXDomain
            ) =>
        {
            Some(*response_code)
        }
        _ => None,
    }
}

fn absolute(name: &str) -> Result<Name, Failure> {
    let mut parsed = Name::from_ascii(name)
        .map_err(|error| Failure::no_such_domain(format!("{name} is no domain name: {error}")))?;
    parsed.set_fqdn(true);
    Ok(parsed)
}

fn host_name(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

fn address_literal(domain: &str) -> Option<IpAddr> {
    match smtp::MailDomain::parse(domain) {
        Ok(smtp::MailDomain::Literal(address)) => Some(address),
        _ => None,
    }
}
