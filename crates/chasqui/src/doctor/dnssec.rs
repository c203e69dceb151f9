//! Whether the resolver validates DNSSEC, without which DANE (RFC 7672) can't be.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::finding::{Finding, Findings};

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Most nameservers that are asked: resolv.conf(5) takes no more.
const MOST: usize = 3;
const DNS: u16 = 53;

pub(super) async fn look(nameservers: &[SocketAddr]) -> Vec<Finding> {
    let mut findings = Findings::of("dnssec");
    let servers = if nameservers.is_empty() {
        of_system()
    } else {
        nameservers.to_vec()
    };
    for server in servers.into_iter().take(MOST) {
        let subject = format!("resolver {server}");
        let asked = timeout(PATIENCE, ask(server)).await;
        match asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(answer) if answer.metadata.authentic_data => {
                findings.ok(subject, "validates: it vouches for the signed root (AD)");
            }
            Ok(answer) if answer.metadata.response_code == ResponseCode::NoError => findings.warn(
                subject,
                "answers, but does not validate (no AD for the root)",
                "use a validating resolver on this machine, such as unbound: DANE needs one, and \
                 forged MX records go unnoticed",
            ),
            Ok(answer) => findings.warn(
                subject,
                format!(
                    "answers {} to a question for the root",
                    answer.metadata.response_code
                ),
                "use a resolver that knows the public DNS, and validates",
            ),
            Err(error) => findings.problem(
                subject,
                format!("does not answer: {error}"),
                "mend it, or name another: mail to other domains waits for the DNS",
            ),
        }
    }
    findings.list
}

fn of_system() -> Vec<SocketAddr> {
    let Ok((config, _)) = read_system_conf() else {
        return Vec::new();
    };
    let servers = config.name_servers().iter();
    servers
        .map(|server| SocketAddr::new(server.ip, DNS))
        .collect()
}

/// Asks for the root's SOA, which is signed, with the wish to know whether that was checked
/// (RFC 6840 §5.7).
async fn ask(server: SocketAddr) -> io::Result<Message> {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.metadata.authentic_data = true;
    question.add_query(Query::query(Name::root(), RecordType::SOA));
    let mut edns = Edns::new();
    edns.set_dnssec_ok(true);
    question.set_edns(edns);
    let octets = question.to_vec().map_err(io::Error::other)?;

    let any: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&octets).await?;
    let mut buffer = vec![0; 4_096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let answer = Message::from_vec(buffer.get(..length).unwrap_or_default());
        match answer {
            Ok(answer) if answer.metadata.id == question.metadata.id => return Ok(answer),
            // Somebody else's answer, or none.
            _ => {}
        }
    }
}
