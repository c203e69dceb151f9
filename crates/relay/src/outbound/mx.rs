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
        // A name from a mail address is a full one: no search list has a say.
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
            return self.order(domain, vec![self.host(domain.to_owned(), 0)]);
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
            Err(_) => self.look_up_addresses(host).await?,
        };
        let allowed: Vec<IpAddr> = found
            .iter()
            .copied()
            .filter(|address| host.trusted || !self.is_refused(*address))
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
        let addresses = both_families_in_turn(&allowed).into_iter();
        let sockets = addresses.map(|address| SocketAddr::new(address, host.port));
        Ok(sockets.take(MAX_ADDRESSES).collect())
    }

    async fn look_up_addresses(&self, host: &MxHost) -> Result<Vec<IpAddr>, Failure> {
        let name = &host.name;
        match self.resolver.lookup_ip(absolute(name)?).await {
            Ok(lookup) => Ok(lookup.iter().collect()),
            Err(error) if negative(&error).is_some() => {
                let detail = format!("the mail host {name} has no address");
                // The operator's mistake, or the DNS's: no reason to bounce what others sent.
                Err(if host.trusted {
                    Failure::unreachable(detail)
                } else {
                    Failure::no_such_domain(detail)
                })
            }
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

/// IPv6 and IPv4 by turns: where there is no way to one of them, some of the few tries are the
/// other's (RFC 5321 §5.2).
fn both_families_in_turn(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.iter().partition(|address| address.is_ipv6());
    (0..addresses.len())
        .flat_map(|turn| [v6.get(turn), v4.get(turn)])
        .flatten()
        .copied()
        .collect()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use smtp::EnhancedStatus;
    use testkit::{DnsServer, Zone};

    use super::super::failure::Class;
    use super::*;

    fn resolver(dns: &DnsServer) -> MxResolver {
        let settings = MxSettings {
            nameservers: vec![dns.address()],
            own_names: vec!["mx1.ours.test".to_owned()],
            port: 25,
            refused_networks: vec![],
        };
        MxResolver::new(settings).unwrap()
    }

    #[tokio::test]
    async fn a_domain_that_is_this_very_host_is_a_loop_without_any_mx_too() {
        let zone = Zone::new().host("mx1.ours.test", [192, 0, 2, 1]);
        let dns = zone.host("mx2.ours.test", [192, 0, 2, 2]).serve().await;
        let resolver = resolver(&dns);
        let failure = resolver.mx_hosts("mx1.ours.test").await.unwrap_err();
        assert_eq!(failure.status, EnhancedStatus::new(5, 4, 6));
        let hosts = resolver.mx_hosts("mx2.ours.test").await.unwrap();
        assert_eq!(hosts[0].name, "mx2.ours.test");
    }

    #[tokio::test]
    async fn a_host_with_many_addresses_is_tried_over_both_families() {
        let mut zone = Zone::new().host("mx.far.test", [192, 0, 2, 1]);
        for last in 1..=5 {
            let address = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
            zone = zone.host("mx.far.test", address);
        }
        let dns = zone.serve().await;
        let resolver = resolver(&dns);
        let host = resolver.host("mx.far.test".to_owned(), 0);
        let addresses = resolver.addresses(&host).await.unwrap();
        assert_eq!(addresses.len(), MAX_ADDRESSES);
        let v4 = addresses.iter().filter(|address| address.is_ipv4());
        assert_eq!(v4.count(), 1);
    }

    #[tokio::test]
    async fn a_smart_host_without_an_address_keeps_mail_waiting_and_an_exchanger_does_not() {
        let dns = Zone::new().serve().await;
        let resolver = resolver(&dns);
        let smart_host = SmartHost {
            host: "smart.ours.test".to_owned(),
            port: 25,
        };
        let [smart_host] = resolver.smart_host(&smart_host).try_into().unwrap();
        let failure = resolver.addresses(&smart_host).await.unwrap_err();
        assert_eq!(failure.class, Class::Transient);
        let exchanger = resolver.host("mx.far.test".to_owned(), 10);
        let failure = resolver.addresses(&exchanger).await.unwrap_err();
        assert_eq!(failure.class, Class::Permanent);
    }
}
