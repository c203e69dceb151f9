//! `doctor`: what is well is told as well, and each ailment with its remedy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::queue::{DatabaseConfig, Heart, HeartConfig, Progress, Queue, Registration};
use hickory_proto::op::{Message, MessageType};
use rcgen::{CertificateParams, CertifiedIssuer, DnType, KeyPair, date_time_ymd};
use serde_json::Value;
use service::config::TelemetrySection;
use service::telemetry::ask_ready;
use tempfile::TempDir;
use testkit::{Process, Script, Sink, TestAuthority, TestCertificate, TestDatabase, Zone};
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
         [directory]\ntargets = [\"{grpc}\"]\n[delivery]\ntargets = [\"{grpc}\"]\n\
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
    examine_with(operator, files, dns, &[])
}

fn examine_with(
    operator: &Operator,
    files: &[PathBuf],
    dns: SocketAddr,
    more: &[&str],
) -> (Done, Vec<Value>) {
    let dns = dns.to_string();
    let mut arguments = vec!["doctor", "--json", "--nameserver", &dns];
    arguments.extend(more);
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

/// A real delivery service with this configuration.
async fn delivers(database: &TestDatabase, file: &Path, grpc: SocketAddr) -> Process {
    let mut command = testkit::binaries().await.command("delivery");
    command.arg("--config").arg(file);
    let mut delivery = Process::start(command.env("DATABASE_URL", database.url()));
    delivery.wait_for_port(grpc).await;
    delivery
}

fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], testkit::free_port()))
}

/// One word of what was found, for each pair of an area and a subject.
#[track_caller]
fn expect<const N: usize>(findings: &[Value], expected: [(&str, &str, &str, &str); N]) {
    for (check, subject, verdict, found) in expected {
        let finding = about(findings, check, subject);
        assert_eq!(finding["verdict"], verdict, "{finding}");
        let told = finding["found"].as_str().unwrap();
        assert!(told.contains(found), "{finding}");
    }
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
    let grpc = free_address();
    let files = configuration(folder.path(), sink.address(), grpc, folder.path());
    let _delivery = delivers(&database, &files[1], grpc).await;

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
        ("fleet", &format!("delivery {grpc} (gRPC)")),
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

#[tokio::test(flavor = "multi_thread")]
async fn who_serves_and_in_which_version_is_told_of_all_services() {
    let (database, operator) = provider().await;
    let queue = Queue::connect(&DatabaseConfig::new(database.url()))
        .await
        .unwrap();
    let _alive = beating(&queue, register(&queue, "0.0.1").await);
    let dns = Zone::new().serve().await;
    let folder = TempDir::new().unwrap();
    let _ = vouched_for().write_to(folder.path(), "mx");
    let (grpc, telemetry) = (free_address(), free_address());
    let files = configuration(folder.path(), free_address(), grpc, folder.path());
    let [relay, delivery] = &files;
    let mut text = std::fs::read_to_string(delivery).unwrap();
    text.push_str(&format!("[telemetry]\nlisten = \"{telemetry}\"\n"));
    std::fs::write(delivery, text).unwrap();
    let mut running = delivers(&database, delivery, grpc).await;
    running.wait_for_port(telemetry).await;
    let section = TelemetrySection {
        listen: Some(telemetry),
        ..TelemetrySection::default()
    };
    testkit::wait_until("delivery to be ready", async || {
        ask_ready(&section).await.is_ok()
    })
    .await;

    // Neither the relay nor we need know more of it than where it is called, and where it tells.
    let (called, told) = (format!("delivery {grpc}"), format!("delivery {telemetry}"));
    let version = env!("CARGO_PKG_VERSION");
    let place = telemetry.to_string();
    let elsewhere = ["--telemetry", place.as_str()];
    let here = std::slice::from_ref(relay);
    let (_, findings) = examine_with(&operator, here, dns.address(), &elsewhere);
    let both = format!("0.0.1, {version}");
    let ready = format!("{version}, ready");
    expect(
        &findings,
        [
            ("fleet", &called, "ok", "serves"),
            ("fleet", &told, "ok", &ready),
            ("fleet", "versions", "warning", &both),
        ],
    );
    // Both sections of the relay lead to it.
    let of = |it: &&Value| it["subject"].as_str().unwrap().starts_with(&called);
    assert_eq!(findings.iter().filter(of).count(), 1, "{findings:#?}");
    // One that is here tells by its configuration.
    let (_, findings) = examine(&operator, &files, dns.address());
    expect(&findings, [("fleet", &told, "ok", &ready)]);

    drop(running);
    let (done, findings) = examine_with(&operator, here, dns.address(), &elsewhere);
    assert_eq!(done.status, 1, "{done:?}");
    expect(
        &findings,
        [
            ("fleet", &called, "warning", "cannot be reached"),
            (
                "fleet",
                "[directory] of relay",
                "problem",
                "no delivery serves",
            ),
            (
                "fleet",
                "[delivery] of relay",
                "problem",
                "no delivery serves",
            ),
            ("fleet", &place, "warning", "does not answer"),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_grpc_are_looked_at_too() {
    let operator = Operator::without_a_database();
    let dns = Zone::new().serve().await;
    let folder = TempDir::new().unwrap();
    let here = folder.path().display().to_string();
    let authority = TestAuthority::new();
    std::fs::write(folder.path().join("ca.pem"), authority.certificate()).unwrap();
    let _ = vouched_for().write_to(folder.path(), "mx");
    let _ = authority
        .issue(&["relay.internal"])
        .write_to(folder.path(), "caller");
    let files = configuration(folder.path(), free_address(), free_address(), folder.path());
    let caller = format!(
        ".tls]\nauthority = \"{here}/ca.pem\"\ncertificate = \"{here}/caller.pem\"\n\
         key = \"{here}/caller.key\"\nserver_name = \"delivery.internal\"\n"
    );
    let server = format!(
        "[grpc.tls]\ncertificate = \"{here}/grpc.pem\"\nkey = \"{here}/grpc.key\"\n\
         client_authority = \"{here}/ca.pem\"\n"
    );
    let append = |file: &Path, text: &str| {
        let whole = std::fs::read_to_string(file).unwrap() + text;
        std::fs::write(file, whole).unwrap();
    };
    append(&files[0], &format!("[directory{caller}[delivery{caller}"));
    append(&files[1], &server);

    for (certificate, verdict, found, remedy) in [
        (
            authority.issue(&["delivery.internal"]),
            "ok",
            "for delivery.internal, until",
            "",
        ),
        (
            authority.issue(&["other.internal"]),
            "problem",
            "is for other.internal, not for delivery.internal",
            "delivery.internal",
        ),
        (
            expired(),
            "problem",
            "expired on 2020-01-01",
            "gRPC certificates are read at start",
        ),
    ] {
        let _ = certificate.write_to(folder.path(), "grpc");
        let (_, findings) = examine(&operator, &files, dns.address());
        expect(
            &findings,
            [
                ("certificate", "/grpc.pem (gRPC)", verdict, found),
                ("certificate", "/caller.pem (gRPC)", "ok", "until"),
                ("certificate", "/ca.pem (gRPC authority)", "ok", "until"),
            ],
        );
        let finding = about(&findings, "certificate", "/grpc.pem");
        let told = finding["remedy"].as_str().unwrap_or_default();
        assert!(told.contains(remedy), "{finding}");
    }
    std::fs::write(folder.path().join("ca.pem"), expired().certificate).unwrap();
    let (_, findings) = examine(&operator, &files, dns.address());
    let authority = ("certificate", "ca.pem", "warning", "expired on 2020-01-01");
    expect(&findings, [authority]);
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
