//! A record in a zone, and how a zone file has it.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

/// Octets of one string in a TXT record (RFC 1035 §3.3).
const STRING: usize = 255;

/// A record to publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Record {
    /// Absolute, with the dot at its end.
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    /// As in a zone file.
    pub(super) value: String,
    pub(super) why: &'static str,
}

impl Record {
    pub(super) fn new(
        name: impl fmt::Display,
        kind: &'static str,
        value: impl fmt::Display,
        why: &'static str,
    ) -> Self {
        Self {
            name: format!("{name}."),
            kind,
            value: value.to_string(),
            why,
        }
    }

    /// Text, in as many strings as it takes.
    pub(super) fn text(name: impl fmt::Display, text: &str, why: &'static str) -> Self {
        let octets = text.as_bytes().chunks(STRING);
        let strings = octets.map(|octets| format!("\"{}\"", String::from_utf8_lossy(octets)));
        let strings: Vec<String> = strings.collect();
        Self::new(name, "TXT", strings.join(" "), why)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} IN {} {}", self.name, self.kind, self.value)
    }
}

/// The name of an address in the reverse zones (RFC 1035 §3.5, RFC 3596 §2.5), without a last dot.
pub(super) fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev();
            let labels = nibbles.map(|octet| format!("{:x}.{:x}.", octet & 15, octet >> 4));
            labels.collect::<String>() + "ip6.arpa"
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn addresses_are_turned_round() {
        assert_eq!(
            reverse_name("192.0.2.7".parse().unwrap()),
            "7.2.0.192.in-addr.arpa"
        );
        assert_eq!(
            reverse_name("2001:db8::c1".parse().unwrap()),
            "1.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
        );
    }

    #[test]
    fn long_text_is_cut_into_strings() {
        let record = Record::text("example.org", &"x".repeat(300), "");
        let expected = format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45));
        assert_eq!(record.value, expected);
    }
}
