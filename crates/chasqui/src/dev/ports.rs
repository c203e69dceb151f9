//! The TCP ports of the fleet: asked for, checked, and found.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;

use clap::Args;
use thiserror::Error;

// The flags below, for those who complain.
pub(crate) const SUBMISSION_FLAG: &str = "--port-submission";
pub(crate) const SUBMISSIONS_FLAG: &str = "--port-submissions";
pub(crate) const RELAY_FLAG: &str = "--port-relay";
pub(crate) const LMTP_FLAG: &str = "--port-lmtp";

/// Where the services answer gRPC: below the ports that systems give to outgoing connections, so
/// that a port that is written into a configuration stays free; by chance, so that fleets that
/// start at the same time don't meet.
const GRPC_PORTS: Range<u16> = 20_000..30_000;
/// After so many that are taken, any port will do.
const TRIES: usize = 100;

/// The ports that a user may choose.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct PortFlags {
    /// Port for mail clients with STARTTLS [default: 2587, or as configured]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port_submission: Option<u16>,
    /// Port for mail clients with TLS from the start [default: 2465, or as configured]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port_submissions: Option<u16>,
    /// Port for other mail servers [default: 2525, or as configured]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port_relay: Option<u16>,
    /// Port for LMTP [default: 2424, or as configured]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port_lmtp: Option<u16>,
}

/// A socket that cannot be had.
#[derive(Debug, Error)]
pub(crate) enum PortError {
    #[error("port {} on {} is in use: stop what listens there, or choose another with {flag} PORT", address.port(), address.ip())]
    InUse {
        address: SocketAddr,
        flag: &'static str,
    },
    #[error("can't listen on {address}: choose another port with {flag} PORT")]
    Refused {
        address: SocketAddr,
        flag: &'static str,
        source: io::Error,
    },
    #[error("can't listen on any port of 127.0.0.1")]
    None(#[source] io::Error),
    #[error("{flag} has nothing to move: {file} has no such socket")]
    NoSocket {
        flag: &'static str,
        file: &'static str,
    },
}

/// Sockets that were found free, kept until all are found, so that no two are the same.
#[derive(Debug, Default)]
pub(crate) struct Reserved(Vec<TcpListener>);

impl Reserved {
    /// Makes sure that nobody listens there.
    pub(crate) fn check(
        &mut self,
        address: SocketAddr,
        flag: &'static str,
    ) -> Result<(), PortError> {
        self.reserve(address)
            .map_err(|source| match source.kind() {
                io::ErrorKind::AddrInUse => PortError::InUse { address, flag },
                _ => PortError::Refused {
                    address,
                    flag,
                    source,
                },
            })
            .map(drop)
    }

    /// That address, or another for gRPC if it is taken.
    pub(crate) fn keep_or_find(&mut self, wanted: SocketAddr) -> Result<SocketAddr, PortError> {
        self.reserve(wanted).or_else(|_taken| self.find())
    }

    /// An address for gRPC.
    fn find(&mut self) -> Result<SocketAddr, PortError> {
        (0..TRIES)
            .map(|_| rand::random_range(GRPC_PORTS))
            .find_map(|port| self.reserve(on_loopback(port)).ok())
            .map_or_else(|| self.reserve(on_loopback(0)), Ok)
            .map_err(PortError::None)
    }

    fn reserve(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        self.0.push(listener);
        Ok(address)
    }
}

/// Where a new fleet listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) submission: SocketAddr,
    pub(crate) submissions: SocketAddr,
    pub(crate) relay: SocketAddr,
    pub(crate) lmtp: SocketAddr,
    pub(crate) submission_grpc: SocketAddr,
    pub(crate) relay_grpc: SocketAddr,
    pub(crate) delivery_grpc: SocketAddr,
}

impl Addresses {
    /// Those asked for, and free ones for gRPC; all on 127.0.0.1.
    pub(crate) fn choose(flags: &PortFlags) -> Result<Self, PortError> {
        let on = |port: Option<u16>, default| on_loopback(port.unwrap_or(default));
        let mut reserved = Reserved::default();
        Ok(Self {
            submission: on(flags.port_submission, 2587),
            submissions: on(flags.port_submissions, 2465),
            relay: on(flags.port_relay, 2525),
            lmtp: on(flags.port_lmtp, 2424),
            submission_grpc: reserved.find()?,
            relay_grpc: reserved.find()?,
            delivery_grpc: reserved.find()?,
        })
    }
}

fn on_loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_port_that_is_taken_is_told_with_the_flag_that_moves_it() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = taken.local_addr().unwrap();
        let refused = Reserved::default().check(address, RELAY_FLAG).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!(
                "port {} on 127.0.0.1 is in use: stop what listens there, or choose another with \
                 --port-relay PORT",
                address.port()
            )
        );
    }

    #[test]
    fn no_port_is_given_twice() {
        let mut reserved = Reserved::default();
        let free = reserved.find().unwrap();
        assert!(reserved.check(free, LMTP_FLAG).is_err());
        assert_ne!(reserved.keep_or_find(free).unwrap(), free);
        drop(reserved);
        assert_eq!(Reserved::default().keep_or_find(free).unwrap(), free);
    }
}
