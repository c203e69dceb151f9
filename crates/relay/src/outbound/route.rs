//! Where mail for a routing domain goes. Looked up at each attempt and never stored, so that a
//! changed route holds for everything that is queued.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;

/// Where an attempt goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum NextHop {
    /// A domain of ours: delivery takes it.
    Local,
    /// Fixed by a route, whatever the DNS says.
    SmartHost(SmartHost),
    /// What the MX records of this domain say (RFC 5321 §5.1).
    Mx(String),
    /// Kept in the queue until released.
    Hold,
    /// Accepted and thrown away.
    Discard,
    /// The directory couldn't say whether the domain is ours: to be tried again soon.
    Unknown,
}

/// A host that takes mail for other domains.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SmartHost {
    /// A host name or an address; no MX look-up is made.
    pub(crate) host: String,
    /// TCP port.
    pub(crate) port: u16,
}

/// One `[[route]]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRule {
    /// Recipient domain, or `*` for every domain that is neither local nor named by another route.
    pub domain: String,
    /// `host:port`, `[v6]:port` or `host` (port 25).
    pub smart_host: Option<String>,
    /// What to do instead of sending.
    pub action: Option<RouteAction>,
}

/// What a route may do instead of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteAction {
    /// Keep in the queue until released.
    Hold,
    /// Accept and throw away.
    Discard,
}

/// All routes.
#[derive(Debug, Clone, Default)]
pub(crate) struct RouteTable {
    by_domain: HashMap<String, NextHop>,
    default: Option<NextHop>,
}

impl RouteTable {
    /// Reads the rules.
    ///
    /// # Errors
    /// One message a bad rule, each naming the rule by its number (from 1) and what to change.
    pub(crate) fn new(rules: &[RouteRule]) -> Result<Self, Vec<String>> {
        let mut table = Self::default();
        let mut problems = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            if let Err(problem) = table.add(rule) {
                problems.push(format!(
                    "route {} (domain \"{}\"): {problem}",
                    index + 1,
                    rule.domain
                ));
            }
        }
        if problems.is_empty() {
            Ok(table)
        } else {
            Err(problems)
        }
    }

    /// The next hop for a routing domain. A route that names the domain wins, then that the domain
    /// is ours, then `*`, then its MX records.
    pub(crate) fn next_hop(&self, domain: &str, is_local: bool) -> NextHop {
        if let Some(next_hop) = self.by_domain.get(domain) {
            return next_hop.clone();
        }
        if is_local {
            return NextHop::Local;
        }
        self.default
            .clone()
            .unwrap_or_else(|| NextHop::Mx(domain.to_owned()))
    }

    fn add(&mut self, rule: &RouteRule) -> Result<(), String> {
        let next_hop = rule.next_hop()?;
        let clash = if rule.domain == "*" {
            self.default.replace(next_hop).is_some()
        } else {
            let domain =
                smtp::MailDomain::parse(&rule.domain).map_err(|error| error.to_string())?;
            self.by_domain
                .insert(domain.routing_domain(), next_hop)
                .is_some()
        };
        if clash {
            Err("another route names the same domain; keep one".to_owned())
        } else {
            Ok(())
        }
    }
}

impl RouteRule {
    fn next_hop(&self) -> Result<NextHop, String> {
        match (&self.smart_host, self.action) {
            (Some(text), None) => SmartHost::parse(text).map(NextHop::SmartHost),
            (None, Some(RouteAction::Hold)) => Ok(NextHop::Hold),
            (None, Some(RouteAction::Discard)) => Ok(NextHop::Discard),
            _ => Err(
                "give either smart_host = \"host:port\" or action = \"hold\" | \"discard\""
                    .to_owned(),
            ),
        }
    }
}

impl SmartHost {
    /// Parses `host`, `host:port` or `[v6]:port`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("smart_host \"{text}\" isn't host:port");
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(bad)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
                (
                    host,
                    after
                        .strip_prefix(':')
                        .or(after.is_empty().then_some("25"))
                        .ok_or_else(bad)?,
                )
            }
            None => text.split_once(':').unwrap_or((text, "25")),
        };
        let port = port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(bad)?;
        let named = host.parse::<std::net::IpAddr>().is_ok() || smtp::Domain::parse(host).is_ok();
        if named {
            Ok(Self {
                host: host.to_ascii_lowercase(),
                port,
            })
        } else {
            Err(bad())
        }
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::SmartHost(smart_host) => smart_host.fmt(f),
            Self::Mx(domain) => write!(f, "mx:{domain}"),
            Self::Hold => f.write_str("hold"),
            Self::Discard => f.write_str("discard"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl fmt::Display for SmartHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn rule(domain: &str, smart_host: Option<&str>, action: Option<RouteAction>) -> RouteRule {
        RouteRule {
            domain: domain.to_owned(),
            smart_host: smart_host.map(str::to_owned),
            action,
        }
    }

    fn table(rules: &[RouteRule]) -> RouteTable {
        RouteTable::new(rules).unwrap()
    }

    #[test]
    fn a_named_domain_wins_over_local_and_local_over_the_default() {
        let table = table(&[
            rule("Example.ORG", Some("mail.example.net:2525"), None),
            rule("*", Some("192.0.2.1"), None),
        ]);
        let smart_host = |host: &str, port| {
            NextHop::SmartHost(SmartHost {
                host: host.to_owned(),
                port,
            })
        };
        assert_eq!(
            table.next_hop("example.org", true),
            smart_host("mail.example.net", 2525)
        );
        assert_eq!(table.next_hop("ours.example", true), NextHop::Local);
        assert_eq!(
            table.next_hop("other.example", false),
            smart_host("192.0.2.1", 25)
        );
    }

    #[test]
    fn without_a_route_the_mx_records_decide() {
        assert_eq!(
            table(&[]).next_hop("a.example", false),
            NextHop::Mx("a.example".to_owned())
        );
    }

    #[test]
    fn every_bad_rule_is_reported_at_once() {
        let problems = RouteTable::new(&[
            rule("a.example", None, None),
            rule("b.example", Some("host:port"), None),
            rule("c.example", Some("host"), Some(RouteAction::Hold)),
            rule("*", None, Some(RouteAction::Hold)),
            rule("*", None, Some(RouteAction::Discard)),
        ])
        .unwrap_err();
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(
            problems[0].starts_with("route 1 (domain \"a.example\")"),
            "{problems:?}"
        );
    }

    #[test]
    fn smart_hosts_are_names_or_addresses() {
        assert_eq!(
            SmartHost::parse("[2001:db8::1]:26").unwrap().to_string(),
            "[2001:db8::1]:26"
        );
        assert_eq!(
            SmartHost::parse("mx.example").unwrap().to_string(),
            "mx.example:25"
        );
        for bad in [
            "",
            ":25",
            "mx.example:0",
            "mx.example:x",
            "2001:db8::1",
            "[mx.example]:25",
            "a b:25",
        ] {
            assert!(SmartHost::parse(bad).is_err(), "{bad}");
        }
    }
}
