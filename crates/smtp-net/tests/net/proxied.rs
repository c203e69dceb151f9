//! Connections that come through a balancer, which says whom it speaks for.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr};

use smtp_net::ListenerTls;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::certificates::{self, trusting};
use crate::service::{Options, Service};
use crate::soon;
use crate::tls::BOTH;
use crate::told::Told;

const VERSION_1: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n";

/// The same by IPv6.
const VERSION_1_SIX: &str = "PROXY TCP6 2001:db8::7 2001:db8:1::1 4711 25\r\n";

/// A header of version 2 with these addresses, and one extension, which is passed over.
fn version_2(client: [u8; 4], local: [u8; 4]) -> Vec<u8> {
    binary(0x11, &[client, local].concat())
}

/// The same by IPv6.
fn version_2_six(client: &str, local: &str) -> Vec<u8> {
    let octets = |address: &str| address.parse::<Ipv6Addr>().unwrap().octets();
    binary(0x21, &[octets(client), octets(local)].concat())
}

/// A header of version 2: family and protocol, and both addresses.
fn binary(family: u8, addresses: &[u8]) -> Vec<u8> {
    // From port 4711 to 25, and a NOOP of two octets.
    let rest = [addresses, &[0x12, 0x67, 0, 25], &[4, 0, 2, 0, 0]].concat();
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n\x21"[..], &[family], &length, &rest].concat()
}

/// A service that takes this machine for a balancer.
fn behind_a_balancer(mut options: Options) -> Service {
    options.listener.proxy_networks = vec!["127.0.0.0/8".parse().unwrap()];
    Service::start(options)
}

async fn connect(service: &Service, header: &[u8]) -> Told<TcpStream> {
    let mut client = Told::connect(service.address).await;
    soon(client.stream.write_all(header)).await.unwrap();
    client
}

/// Not a word, and an end; a hard one, if some of what was said remains unread.
async fn is_cut(client: &mut Told<TcpStream>) -> bool {
    let mut heard = [0];
    let end = soon(client.stream.read(&mut heard)).await;
    end.map_or_else(
        |error| error.kind() == ErrorKind::ConnectionReset,
        |octets| octets == 0,
    )
}

async fn send(client: &mut Told<TcpStream>) {
    client.expect("220").await;
    client.ask("HELO client.example", "250").await;
    client.ask("MAIL FROM:<>", "250").await;
    client.ask("RCPT TO:<a@example.org>", "250").await;
    client.ask("DATA", "354").await;
    client.say("hello\r\n").await;
    client.ask(".", "250").await;
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn the_client_is_whom_the_header_names_in_either_version() {
    let mut service = behind_a_balancer(Options::plain());
    for header in [
        VERSION_1.as_bytes(),
        &version_2([192, 0, 2, 7], [198, 51, 100, 1]),
    ] {
        send(&mut connect(&service, header).await).await;
        let session = service.taken().await.session;
        assert_eq!(session.peer, address("192.0.2.7:4711"));
        assert_eq!(session.local, address("198.51.100.1:25"));
    }
}

#[tokio::test]
async fn a_client_by_ipv6_keeps_its_address_behind_a_balancer_by_ipv4() {
    let mut service = behind_a_balancer(Options::plain());
    for header in [
        VERSION_1_SIX.as_bytes(),
        &version_2_six("2001:db8::7", "2001:db8:1::1"),
    ] {
        send(&mut connect(&service, header).await).await;
        let session = service.taken().await.session;
        assert_eq!(session.peer, address("[2001:db8::7]:4711"));
        assert_eq!(session.local, address("[2001:db8:1::1]:25"));
    }
}

/// Balancers on sockets of both families write IPv4 addresses so.
#[tokio::test]
async fn ipv4_within_ipv6_counts_as_ipv4() {
    let mut service = behind_a_balancer(Options::plain());
    for header in [
        &b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 4711 25\r\n"[..],
        &version_2_six("::ffff:192.0.2.7", "::ffff:198.51.100.1"),
    ] {
        send(&mut connect(&service, header).await).await;
        let session = service.taken().await.session;
        assert_eq!(session.peer, address("192.0.2.7:4711"));
        assert_eq!(session.local, address("198.51.100.1:25"));
    }
}

#[tokio::test]
async fn the_neighbours_in_a_network_by_ipv6_share_one_limit() {
    let mut options = Options::plain();
    options.listener.max_connections_per_address = 1;
    let service = behind_a_balancer(options);
    let header = |client| version_2_six(client, "2001:db8:1::1");
    let mut first = connect(&service, &header("2001:db8::7")).await;
    first.expect("220").await;
    let mut neighbour = connect(&service, &header("2001:db8::8")).await;
    neighbour.expect("421 4.7.0").await;
    neighbour.expect_end().await;
    let mut stranger = connect(&service, &header("2001:db8:0:1::7")).await;
    stranger.expect("220").await;
}

#[tokio::test]
async fn a_balancer_that_speaks_for_itself_or_for_it_knows_not_whom_is_the_client() {
    let mut service = behind_a_balancer(Options::plain());
    for header in [&b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"[..], b"PROXY UNKNOWN\r\n"] {
        send(&mut connect(&service, header).await).await;
        let session = service.taken().await.session;
        assert_eq!(session.peer.ip(), address("127.0.0.1:0").ip());
        assert_eq!(session.local, service.address);
    }
}

#[tokio::test]
async fn anybody_else_cannot_pass_for_another() {
    let mut service = Service::start(Options::plain());
    let mut client = connect(&service, VERSION_1.as_bytes()).await;
    client.expect("220").await;
    client.expect("500").await;
    client.ask("HELO client.example", "250").await;
    client.ask("MAIL FROM:<>", "250").await;
    client.ask("RCPT TO:<a@example.org>", "250").await;
    client.ask("DATA", "354").await;
    client.ask(".", "250").await;
    let session = service.taken().await.session;
    assert_eq!(session.peer.ip(), address("127.0.0.1:0").ip());
}

#[tokio::test]
async fn a_balancer_that_introduces_nobody_is_not_served() {
    let service = behind_a_balancer(Options::plain());
    let long_line = format!("PROXY TCP4 {}", "1".repeat(200));
    let endless = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff";
    for header in [
        &b"EHLO client.example\r\n"[..],
        b"PROXY TCP4 nobody nowhere 1 2\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.1 4711 25\r\n",
        long_line.as_bytes(),
        endless,
    ] {
        assert!(is_cut(&mut connect(&service, header).await).await);
    }
}

#[tokio::test]
async fn each_client_has_its_own_limit_on_connections() {
    let mut options = Options::plain();
    options.listener.max_connections_per_address = 1;
    let service = behind_a_balancer(options);
    let header = |last| version_2([192, 0, 2, last], [198, 51, 100, 1]);
    let mut first = connect(&service, &header(1)).await;
    first.expect("220").await;
    let mut second = connect(&service, &header(2)).await;
    second.expect("220").await;
    let mut third = connect(&service, &header(2)).await;
    third.expect("421 4.7.0").await;
    third.expect_end().await;
}

#[tokio::test]
async fn tls_begins_with_the_first_octet_behind_the_header() {
    let (tls, certificate) = certificates::fresh();
    for header in [
        VERSION_1.as_bytes(),
        &version_2([192, 0, 2, 7], [198, 51, 100, 1]),
    ] {
        let tls = ListenerTls::Implicit(tls.clone());
        let service = behind_a_balancer(Options::new(tls));
        let plain = connect(&service, header).await;
        let mut client = plain.into_tls(trusting(&certificate, BOTH)).await;
        client.expect("220").await;
    }
}
