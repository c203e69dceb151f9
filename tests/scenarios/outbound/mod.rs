//! From the queue to other servers: routing, what the far end may say or do, and what becomes of the mail.

mod changed_route;
mod connection_limits;
mod connection_lost;
mod destination_down;
mod expiry;
mod far_end_limits;
mod greylisting;
mod hold_and_discard;
mod journal;
mod large_message;
mod mail_exchangers;
mod no_notification;
mod no_way;
mod one_transaction;
mod other_host;
mod plain_smtp;
mod recipient_refused;
mod report_travels;
mod smart_host;
mod tls;

use std::net::{IpAddr, Ipv4Addr};

use testkit::{DnsServer, Script, Sink, Zone};

use crate::fleet::Fleet;

/// The address of one of several far hosts on one port.
fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, number).into()
}

/// A fleet with `alice`, whose mail for anyone elsewhere goes to `sink`.
async fn fleet_before(sink: &Sink) -> Fleet {
    let fleet = Fleet::builder()
        .account("alice")
        .smart_host("*", sink.address());
    fleet.start().await
}

/// The mail exchangers of `far.test`, with preferences 10, 20 and so on.
struct Exchangers {
    sinks: Vec<Sink>,
    dns: DnsServer,
}

impl Exchangers {
    /// They behave as the scripts say, on `mx1.far.test`, `mx2.far.test` and so on.
    async fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        let mut sinks: Vec<Sink> = Vec::new();
        let mut zone = Zone::new();
        for (number, script) in (1..).zip(scripts) {
            let port = sinks.first().map_or(0, |first| first.address().port());
            let host = format!("mx{number}.far.test");
            zone = zone
                .mx("far.test", 10 * u16::from(number), &host)
                .host(&host, address(number));
            sinks.push(Sink::start_at((address(number), port), script).await);
        }
        Self {
            sinks,
            dns: zone.serve().await,
        }
    }

    /// A fleet with `alice` that finds them by the DNS.
    async fn fleet(&self) -> Fleet {
        let fleet = Fleet::builder()
            .account("alice")
            .dns(&self.dns)
            .exchangers_like(&self.sinks[0]);
        fleet.start().await
    }

    fn assert_well_treated(&self) {
        for sink in &self.sinks {
            assert_eq!(sink.complaints(), Vec::<String>::new());
        }
    }
}
