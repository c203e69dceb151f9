//! Which addresses count as one client.

use std::net::{IpAddr, Ipv6Addr};

/// Addresses that share their limits: one IPv4 address, or one IPv6 network of 64 bits, which is
/// the least that a single host is given (RFC 6177 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressGroup(IpAddr);

impl AddressGroup {
    /// The group of an address. An IPv4 address that a dual-stack socket shows as IPv6 is taken
    /// for what it is.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                let network = u128::from(v6) & !u128::from(u64::MAX);
                Self(Ipv6Addr::from(network).into())
            }
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn group(address: &str) -> AddressGroup {
        AddressGroup::of(address.parse().unwrap())
    }

    #[test]
    fn an_ipv4_address_stands_alone_however_it_is_written() {
        assert_eq!(group("192.0.2.1"), group("::ffff:192.0.2.1"));
        assert_ne!(group("192.0.2.1"), group("192.0.2.2"));
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one() {
        assert_eq!(group("2001:db8:0:1::1"), group("2001:db8:0:1:ffff::2"));
        assert_ne!(group("2001:db8:0:1::1"), group("2001:db8:0:2::1"));
    }
}
