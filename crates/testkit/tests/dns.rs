//! The DNS server answers a real resolver as a real one would.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::{Resolver, TokioResolver};
use testkit::{DnsServer, Zone};

fn resolver(server: &DnsServer) -> TokioResolver {
    let mut name_server = NameServerConfig::udp_and_tcp(server.address().ip());
    for connection in &mut name_server.connections {
        connection.port = server.address().port();
    }
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![name_server]);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().timeout = Duration::from_millis(300);
    builder.options_mut().attempts = 1;
    builder.build().unwrap()
}

/// `preference host` of each record, sorted.
async fn exchangers(resolver: &TokioResolver, domain: &str) -> Result<Vec<String>, NetError> {
    let lookup = resolver.mx_lookup(domain).await?;
    let exchanger = |data: &RData| match data {
        RData::MX(mx) => Some(format!("{} {}", mx.preference, mx.exchange)),
        _ => None,
    };
    let records = lookup.answers().iter();
    let mut found: Vec<String> = records
        .filter_map(|record| exchanger(&record.data))
        .collect();
    found.sort();
    Ok(found)
}

fn code(error: &NetError) -> Option<ResponseCode> {
    match error {
        NetError::Dns(hickory_resolver::net::DnsError::NoRecordsFound(none)) => {
            Some(none.response_code)
        }
        NetError::Dns(hickory_resolver::net::DnsError::ResponseCode(code)) => Some(*code),
        _ => None,
    }
}

#[tokio::test]
async fn exchangers_and_addresses_are_found() {
    let server = Zone::new()
        .mx("example.org", 10, "mx1.example.org")
        .mx("example.org", 20, "mx2.example.org")
        .null_mx("nomail.example")
        .host("mx1.example.org", [127, 0, 0, 1])
        .host("mx1.example.org", IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]))
        .serve()
        .await;
    let resolver = resolver(&server);
    let found = exchangers(&resolver, "Example.ORG.").await.unwrap();
    assert_eq!(found, ["10 mx1.example.org.", "20 mx2.example.org."]);
    let none = exchangers(&resolver, "nomail.example.").await.unwrap();
    assert_eq!(none, ["0 ."]);
    let addresses = resolver.ipv4_lookup("mx1.example.org.").await.unwrap();
    assert_eq!(addresses.answers().len(), 1);
    assert!(server.questions().contains(&"MX example.org.".to_owned()));
}

#[tokio::test]
async fn aliases_are_followed() {
    let server = Zone::new()
        .alias("www.example.org", "web.example.org")
        .host("web.example.org", [127, 0, 0, 7])
        .serve()
        .await;
    let found = resolver(&server)
        .lookup_ip("www.example.org.")
        .await
        .unwrap();
    let addresses: Vec<IpAddr> = found.iter().collect();
    assert_eq!(addresses, [IpAddr::from(Ipv4Addr::new(127, 0, 0, 7))]);
}

#[tokio::test]
async fn a_name_fails_in_the_way_it_is_told_to() {
    let server = Zone::new()
        .empty("empty.example")
        .servfail("broken.example")
        .silent("silent.example")
        .serve()
        .await;
    let resolver = resolver(&server);
    for (domain, expected) in [
        ("missing.example.", Some(ResponseCode::NXDomain)),
        ("empty.example.", Some(ResponseCode::NoError)),
        ("broken.example.", Some(ResponseCode::ServFail)),
        ("silent.example.", None),
    ] {
        let error = exchangers(&resolver, domain).await.unwrap_err();
        assert_eq!(code(&error), expected, "{domain}: {error:?}");
    }
}

#[tokio::test]
async fn a_change_is_seen_at_once() {
    let server = Zone::new()
        .mx("example.org", 10, "old.example.org")
        .serve()
        .await;
    let resolver = resolver(&server);
    assert_eq!(
        exchangers(&resolver, "example.org.").await.unwrap(),
        ["10 old.example.org."]
    );
    server.replace(Zone::new().mx("example.org", 10, "new.example.org"));
    assert_eq!(
        exchangers(&resolver, "example.org.").await.unwrap(),
        ["10 new.example.org."]
    );
}

#[tokio::test]
async fn what_is_too_long_for_udp_comes_over_tcp() {
    let mut zone = Zone::new();
    for number in 0..200 {
        zone = zone.mx(
            "example.org",
            number,
            &format!("exchanger-{number}.example.org"),
        );
    }
    let server = zone.serve().await;
    let found = exchangers(&resolver(&server), "example.org.")
        .await
        .unwrap();
    assert_eq!(found.len(), 200);
    let asked = server.questions().len();
    assert!(asked >= 2, "once over each, not {asked} times");
}
