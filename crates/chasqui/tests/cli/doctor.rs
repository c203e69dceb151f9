//! `doctor`: what is well is told as well, and each ailment with its remedy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::queue::{DatabaseConfig, Heart, HeartConfig, Progress, Queue, Registration};
use hickory_proto::op::{Message, MessageType};
use rcgen::{CertificateParams, CertifiedIssuer, DnType, KeyPair, date_time_ymd};
use serde_json::Value;
use tempfile::TempDir;
use testkit::{Script, Sink, TestCertificate, TestDatabase, Zone};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

use crate::operator::{Done, Operator};

const HOST: &str = "mx1.example.org";
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 25));

/// A database with one local domain.
async fn provider() -> (TestDatabase, Operator) {
    let database = testkit::database().await;
    let operator = Operator::of(&database);
    operator.succeeds(&["migrate"]);
    operator.succeeds(&["domain", "add", "example.org"]);
    (database, operator)
}

/// Writes relay.toml and delivery.toml; gives their paths.
fn configuration(folder: &Path, listen: SocketAddr, grpc: SocketAddr, mail: &Path) -> [PathBuf; 2] {
    let here = folder.display();
    let relay = format!(
        "host_name = \"{HOST}\"\n[[listen]]\naddress = \"{listen}\"\n\
         [tls]\ncertificate = \"{here}/mx.pem\"\nkey = \"{here}/mx.key\"\n\
         [directory]\ntargets = [\"127.0.0.1:1\"]\n[delivery]\ntargets = [\"127.0.0.1:1\"]\n\
         [grpc]\nbind = \"{grpc}\"\n"
    );
    let mail = mail.display();
    let delivery = format!(
        "host_name = \"{HOST}\"\n[maildir]\nroot = \"{mail}\"\n[grpc]\nbind = \"{grpc}\"\n"
    );
    [("relay.toml", relay), ("delivery.toml", delivery)].map(|(name, text)| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    })
}

fn examine(operator: &Operator, files: &[PathBuf], dns: SocketAddr) -> (Done, Vec<Value>) {
    let dns = dns.to_string();
    let mut arguments = vec!["doctor", "--json", "--nameserver", &dns];
    for file in files {
        arguments.extend(["--config", file.to_str().unwrap()]);
    }
    let done = operator.types(&arguments);
    let findings = serde_json::from_str(&done.stdout);
    let findings = findings.unwrap_or_else(|error| panic!("{error}: {done:?}"));
    (done, findings)
}

/// What was found of a subject that contains this text.
#[track_caller]
fn about<'a>(findings: &'a [Value], check: &str, subject: &str) -> &'a Value {
    let mut fitting = findings.iter().filter(|finding| {
        let of = finding["subject"].as_str().unwrap();
        finding["check"] == check && of.contains(subject)
    });
    let found = fitting.next();
    found.unwrap_or_else(|| panic!("nothing about {check} {subject}: {findings:#?}"))
}

/// A nameserver that vouches for whatever it is asked.
async fn vouching() -> (SocketAddr, JoinHandle<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut buffer = [0; 4_096];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            let mut message = Message::from_vec(&buffer[..length]).unwrap();
            let wants = message
                .edns
                .as_ref()
                .is_some_and(|edns| edns.flags().dnssec_ok);
            message.metadata.message_type = MessageType::Response;
            message.metadata.authentic_data = wants;
            socket
                .send_to(&message.to_vec().unwrap(), client)
                .await
                .unwrap();
        }
    });
    (address, task)
}

fn beating(queue: &Queue, relay: ::queue::IncarnationId) -> (Heart, JoinHandle<()>) {
    let progress = Progress::default();
    let heart = Heart::start(queue, relay, HeartConfig::default(), progress.clone());
    let life = tokio::spawn(async move {
        loop {
            progress.note();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    (heart, life)
}

async fn register(queue: &Queue, version: &str) -> ::queue::IncarnationId {
    let registration = Registration {
        address: "127.0.0.1:1".to_owned(),
        node: HOST.to_owned(),
        version: version.to_owned(),
    };
    queue.register(&registration).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_fleet_has_no_problems() {
    let (database, operator) = provider().await;
    let queue = Queue::connect(&DatabaseConfig::new(database.url()))
        .await
        .unwrap();
    let relay = register(&queue, env!("CARGO_PKG_VERSION")).await;
    let _alive = beating(&queue, relay);
    let zone = Zone::new()
        .host(HOST, ADDRESS)
        .reverse(ADDRESS, HOST)
        .mx("example.org", 10, HOST);
    let dns = zone.serve().await;
    let folder = TempDir::new().unwrap();
    let certificate = vouched_for();
    let _ = certificate.write_to(folder.path(), "mx");
    let sink = Sink::start(Script::new().starttls(&certificate)).await;
    let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let grpc_address = grpc.local_addr().unwrap();
    let files = configuration(folder.path(), sink.address(), grpc_address, folder.path());

    let (done, findings) = examine(&operator, &files, dns.address());
    assert_eq!((done.status, done.stderr.as_str()), (0, ""), "{done:?}");
    let listens = format!("relay {}", sink.address());
    for (check, subject) in [
        ("configuration", "relay.toml"),
        ("configuration", "delivery.toml"),
        ("postgres", "fsync"),
        ("postgres", "full_page_writes"),
        ("postgres", "max_connections"),
        ("clock", "skew"),
        ("schema", "queue"),
        ("fleet", &format!("relay {} on {HOST}", relay.0)),
        ("dns", HOST),
        ("dns", "example.org"),
        ("certificate", "mx.pem"),
        ("port", &listens),
        ("port", "(gRPC)"),
    ] {
        let finding = about(&findings, check, subject);
        assert_eq!(finding["verdict"], "ok", "{finding}");
    }
    // This resolver knows nothing of the root.
    assert_eq!(about(&findings, "dnssec", "resolver")["verdict"], "warning");
    about(&findings, "disk", folder.path().to_str().unwrap());

    let (server, answering) = vouching().await;
    let (_, findings) = examine(&operator, &[], server);
    assert_eq!(about(&findings, "dnssec", "resolver")["verdict"], "ok");
    answering.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_ailment_is_told_with_its_remedy() {
    let (database, operator) = provider().await;
    let queue = Queue::connect(&DatabaseConfig::new(database.url()))
        .await
        .unwrap();
    let still = register(&queue, env!("CARGO_PKG_VERSION")).await;
    let old = register(&queue, "0.0.1").await;
    let new = register(&queue, "0.0.2").await;
    let _alive = [beating(&queue, old), beating(&queue, new)];
    let zone = Zone::new()
        .host(HOST, ADDRESS)
        .reverse(ADDRESS, "pool-25.isp.example");
    let dns = zone.serve().await;
    let folder = TempDir::new().unwrap();
    let _ = expired().write_to(folder.path(), "mx");
    let other = TestCertificate::self_signed(&["elsewhere.example"]);
    let sink = Sink::start(Script::new().starttls(&other)).await;
    let nobody = SocketAddr::from(([127, 0, 0, 1], testkit::free_port()));
    let missing = folder.path().join("missing");
    let [relay, delivery] = configuration(folder.path(), sink.address(), nobody, &missing);
    let broken = folder.path().join("submission.toml");
    std::fs::write(&broken, "host_nam = 1\n").unwrap();

    let (done, findings) = examine(&operator, &[relay, delivery, broken], dns.address());
    assert_eq!(done.status, 1, "{done:?}");
    let listens = format!("relay {} shows another", sink.address());
    let still = format!("relay {} on {HOST}", still.0);
    for (check, subject, verdict, found, remedy) in [
        (
            "configuration",
            "submission.toml",
            "problem",
            "host_nam",
            "chasqui config check",
        ),
        ("fleet", still.as_str(), "problem", "stands still", "killed"),
        (
            "fleet",
            "versions",
            "warning",
            "0.0.1, 0.0.2",
            "finish the upgrade",
        ),
        (
            "dns",
            HOST,
            "problem",
            "pool-25.isp.example",
            "(PTR) to mx1.example.org",
        ),
        (
            "dns",
            "example.org",
            "problem",
            "has no MX",
            "dns-records example.org",
        ),
        (
            "certificate",
            "mx.pem",
            "problem",
            "expired on 2020-01-01",
            "renew",
        ),
        (
            "certificate",
            &listens,
            "problem",
            "is for elsewhere.example",
            HOST,
        ),
        ("port", "relay 127.0.0.1", "ok", "with TLS", ""),
        (
            "port",
            &format!("delivery {nobody}"),
            "problem",
            "refused",
            "start delivery",
        ),
        (
            "disk",
            "missing",
            "problem",
            "can't be looked at",
            "make the folder",
        ),
    ] {
        let finding = match check {
            "dns" => findings
                .iter()
                .find(|it| it["check"] == "dns" && it["subject"] == subject)
                .unwrap(),
            _ => about(&findings, check, subject),
        };
        assert_eq!(finding["verdict"], verdict, "{finding}");
        assert!(
            finding["found"].as_str().unwrap().contains(found),
            "{finding}"
        );
        let told = finding["remedy"].as_str().unwrap_or_default();
        assert!(told.contains(remedy), "{finding}");
    }
    let problems = findings
        .iter()
        .filter(|it| it["verdict"] == "problem")
        .count();
    assert_eq!(
        done.stderr,
        format!("chasqui: there are {problems} problems\n")
    );
}

/// By an authority with a name of its own.
fn vouched_for() -> TestCertificate {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters
        .distinguished_name
        .push(DnType::CommonName, "An authority");
    let authority = KeyPair::generate().unwrap();
    let authority = CertifiedIssuer::self_signed(parameters, authority).unwrap();
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    TestCertificate {
        certificate: parameters.signed_by(&key, &authority).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

fn expired() -> TestCertificate {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    parameters.not_after = date_time_ymd(2020, 1, 1);
    TestCertificate {
        certificate: parameters.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_answers_is_not_waited_for() {
    let dns = Zone::new().silent(HOST).serve().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "postgres://chasqui@{}/chasqui",
        silent.local_addr().unwrap()
    );
    let dns = dns.address().to_string();
    let began = Instant::now();
    let done = Operator::without_a_database().types(&[
        "doctor",
        "--host-name",
        HOST,
        "--nameserver",
        &dns,
        "--database-url",
        &url,
    ]);
    assert!(
        began.elapsed() < Duration::from_secs(45),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(done.status, 1, "{done:?}");
    for line in [
        "problem  postgres",
        "problem  dns",
        "VERDICT  OF",
        "check that Postgres runs",
    ] {
        assert!(
            done.stdout.contains(line),
            "{line} is missing: {}",
            done.stdout
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_a_schema_and_without_relays_is_told() {
    let database = testkit::database().await;
    let operator = Operator::of(&database);
    let dns = Zone::new().serve().await;
    let (_, findings) = examine(&operator, &[], dns.address());
    let schema = about(&findings, "schema", "queue");
    assert_eq!(
        (&schema["verdict"], &schema["remedy"]),
        (&"problem".into(), &"run `chasqui migrate`".into())
    );
    operator.succeeds(&["migrate"]);
    let (done, findings) = examine(&operator, &[], dns.address());
    assert_eq!(about(&findings, "schema", "queue")["verdict"], "ok");
    assert_eq!(about(&findings, "fleet", "relays")["verdict"], "problem");
    assert_eq!(done.status, 1);
}
