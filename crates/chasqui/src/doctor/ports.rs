//! Whether the services answer on their sockets.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use service::config::{ListenTls, TelemetrySection};
use service::telemetry::{ask_ready, on_this_machine};
use smtp::Domain;
use smtp::client::{Config, Timeouts};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::certificates::{Purpose, judge};
use super::finding::{Finding, Findings};
use super::known::{Known, Socket};
use crate::certificate::Certificate;
use crate::talk::{Manner, Security, Talk, TalkError, anybody};

/// For each answer of a service, which is on this machine.
const ANSWER: Duration = Duration::from_secs(5);
/// For all that is asked on one socket.
const SOCKET: Duration = Duration::from_secs(20);

pub(super) async fn look(known: &Known) -> Vec<Finding> {
    let mut findings = Findings::of("port");
    let on_file = known.certificates.iter();
    let on_file: Vec<Certificate> = on_file
        .filter_map(|(section, _)| Certificate::read(&section.certificate).ok())
        .collect();
    for socket in &known.sockets {
        about_socket(socket, &on_file, &mut findings).await;
    }
    for (service, address) in &known.grpc {
        let subject = format!("{service} {address} (gRPC)");
        match connect(on_this_machine(*address)).await {
            Ok(()) => findings.ok(subject, "is listened on"),
            Err(error) => findings.problem(subject, error.to_string(), start(service)),
        }
    }
    for (service, section) in &known.telemetry {
        about_readiness(service, section, &mut findings).await;
    }
    findings.list
}

async fn about_socket(socket: &Socket, on_file: &[Certificate], findings: &mut Findings) {
    let address = on_this_machine(socket.listen.address);
    let subject = format!("{} {}", socket.service, socket.listen.address);
    let networks = &socket.listen.proxy_networks;
    if networks
        .iter()
        .any(|network| network.contains(&address.ip()))
    {
        // It would take our greeting for a broken PROXY header.
        match connect(address).await {
            Ok(()) => findings.ok(subject, "is listened on; it speaks to balancers only"),
            Err(error) => findings.problem(subject, error.to_string(), start(socket.service)),
        }
        return;
    }
    match greet(socket.clone(), address).await {
        Ok(None) => findings.ok(subject, "answers, without TLS as configured"),
        Ok(Some(shown)) if on_file.contains(&shown) => findings.ok(subject, "answers, with TLS"),
        Ok(Some(shown)) => {
            findings.ok(subject.clone(), "answers, with TLS");
            let mut other = Findings::of("certificate");
            let subject = format!("{subject} shows another than on file");
            let purpose = Purpose::Mail(socket.host_name.clone());
            judge(&shown, &purpose, subject, &mut other);
            findings.list.append(&mut other.list);
        }
        Err(error) => findings.problem(subject, error, start(socket.service)),
    }
}

/// Talks on a thread of its own, so that a service which never comes to an end is left alone.
async fn greet(socket: Socket, address: SocketAddr) -> Result<Option<Certificate>, String> {
    let (tell, told) = oneshot::channel();
    thread::spawn(move || {
        // Whoever asked may have gone.
        let _ = tell.send(talk(&socket, address));
    });
    match timeout(SOCKET, told).await {
        Ok(Ok(result)) => result,
        _ => Err(format!("comes to no end within {} s", SOCKET.as_secs())),
    }
}

fn talk(socket: &Socket, address: SocketAddr) -> Result<Option<Certificate>, String> {
    let hello = Domain::parse("localhost").map_err(|error| error.to_string())?;
    let security = match socket.listen.tls {
        ListenTls::None => Security::Plain,
        ListenTls::StartTls => Security::Demanded,
        ListenTls::Implicit => Security::Implicit,
    };
    let session = Config {
        dialect: socket.dialect,
        timeouts: Timeouts {
            greeting: ANSWER,
            hello: ANSWER,
            start_tls: ANSWER,
            quit: Duration::from_secs(1),
            ..Timeouts::default()
        },
        ..Config::new(hello)
    };
    let manner = Manner {
        session,
        security,
        trust: anybody().map_err(|error| error.to_string())?,
        connect_within: ANSWER,
    };
    let told = |error: TalkError| service::one_line(&error);
    let talk = Talk::open(&[address], &socket.host_name, &manner).map_err(told)?;
    let shown = talk.certificate();
    talk.quit();
    match shown {
        None => Ok(None),
        Some(der) => Certificate::parse(&der)
            .map(Some)
            .map_err(|error| error.to_string()),
    }
}

async fn about_readiness(service: &str, section: &TelemetrySection, findings: &mut Findings) {
    let Some(address) = section.listen else {
        return;
    };
    let subject = format!("{service} {address} (/ready)");
    match ask_ready(section).await {
        Ok(()) => findings.ok(subject, "says that it is ready"),
        Err(error) => {
            let remedy = format!("see the log of {service} for what it waits for");
            findings.problem(subject, service::one_line(&error), remedy);
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<()> {
    let connected = timeout(ANSWER, TcpStream::connect(address)).await;
    connected
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map(drop)
}

fn start(service: &str) -> String {
    format!("start {service} on this machine, or see its log")
}
