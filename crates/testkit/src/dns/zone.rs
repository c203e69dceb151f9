//! What a DNS server of a test's own knows, and how it fails.

use std::collections::HashMap;
use std::net::IpAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, PTR, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// Longest chain of aliases that is followed.
const MAX_ALIASES: usize = 8;

/// The names that exist. All others are answered with NXDOMAIN.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    names: HashMap<Name, Entry>,
    ttl: u32,
}

#[derive(Clone, Debug)]
enum Entry {
    Records(Vec<RData>),
    Fails(ResponseCode),
    Silent,
}

/// What to say to a question.
pub(super) enum Answer {
    Records(Vec<Record>),
    Code(ResponseCode),
    Silence,
}

impl Zone {
    /// No name at all. Answers live for 0 seconds, so that a change is seen at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many seconds answers may be remembered.
    #[must_use]
    pub fn ttl(mut self, seconds: u32) -> Self {
        self.ttl = seconds;
        self
    }

    /// A mail exchanger (RFC 5321 §5.1).
    #[must_use]
    pub fn mx(self, domain: &str, preference: u16, host: &str) -> Self {
        self.record(domain, RData::MX(MX::new(preference, name(host))))
    }

    /// The domain takes no mail (RFC 7505).
    #[must_use]
    pub fn null_mx(self, domain: &str) -> Self {
        self.mx(domain, 0, ".")
    }

    /// A host's address, of either family.
    #[must_use]
    pub fn host(self, host: &str, address: impl Into<IpAddr>) -> Self {
        let record = match address.into() {
            IpAddr::V4(address) => RData::A(A(address)),
            IpAddr::V6(address) => RData::AAAA(AAAA(address)),
        };
        self.record(host, record)
    }

    /// Another name for a host or domain.
    #[must_use]
    pub fn alias(self, alias: &str, canonical: &str) -> Self {
        self.record(alias, RData::CNAME(CNAME(name(canonical))))
    }

    /// The name of an address.
    #[must_use]
    pub fn reverse(self, address: impl Into<IpAddr>, host: &str) -> Self {
        let arpa = Name::from(address.into()).to_ascii();
        self.record(&arpa, RData::PTR(PTR(name(host))))
    }

    /// A text.
    #[must_use]
    pub fn text(self, domain: &str, text: &str) -> Self {
        self.record(domain, RData::TXT(TXT::new(vec![text.to_owned()])))
    }

    /// The name exists, and has no records (NOERROR without an answer).
    #[must_use]
    pub fn empty(mut self, domain: &str) -> Self {
        self.names.insert(name(domain), Entry::Records(Vec::new()));
        self
    }

    /// Questions about this name end in SERVFAIL.
    #[must_use]
    pub fn servfail(mut self, domain: &str) -> Self {
        let fails = Entry::Fails(ResponseCode::ServFail);
        self.names.insert(name(domain), fails);
        self
    }

    /// Questions about this name are never answered.
    #[must_use]
    pub fn silent(mut self, domain: &str) -> Self {
        self.names.insert(name(domain), Entry::Silent);
        self
    }

    fn record(mut self, owner: &str, data: RData) -> Self {
        let entry = self.names.entry(name(owner));
        match entry.or_insert_with(|| Entry::Records(Vec::new())) {
            Entry::Records(records) => records.push(data),
            other => *other = Entry::Records(vec![data]),
        }
        self
    }

    /// Answers as a resolver does: with the whole chain of aliases.
    pub(super) fn answer(&self, question: &Name, kind: RecordType) -> Answer {
        let mut answers = Vec::new();
        let mut at = question.to_lowercase();
        for _ in 0..MAX_ALIASES {
            let records = match self.names.get(&at) {
                Some(Entry::Records(records)) => records,
                Some(Entry::Fails(code)) => return Answer::Code(*code),
                Some(Entry::Silent) => return Answer::Silence,
                None if answers.is_empty() => return Answer::Code(ResponseCode::NXDomain),
                None => break,
            };
            let record = |data: &RData| Record::from_rdata(at.clone(), self.ttl, data.clone());
            let asked = |data: &&RData| data.record_type() == kind;
            answers.extend(records.iter().filter(asked).map(record));
            let alias = records.iter().find_map(|data| match data {
                RData::CNAME(alias) if kind != RecordType::CNAME => Some((alias.0.clone(), data)),
                _ => None,
            });
            let Some((canonical, data)) = alias else {
                break;
            };
            answers.push(record(data));
            at = canonical.to_lowercase();
        }
        Answer::Records(answers)
    }
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    name.set_fqdn(true);
    name.to_lowercase()
}
