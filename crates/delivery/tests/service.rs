//! The whole service, over gRPC and LMTP, on a real Postgres and a real filesystem.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use delivery::{Config, Limits, LmtpSection, MaildirSection, Running, StartError, run};
use directory::{DatabaseConfig, Directory};
use queue::{Content, QueueId, Shard, TraceParent};
use rpc::ChannelConfig;
use rpc::delivery::{DeliverRequest, DeliveryClient};
use rpc::directory::{Authentication, DirectoryClient, Lookup};
use secrecy::SecretString;
use service::config::{
    DatabaseSection, GrpcServerSection, ListenSection, ListenTls, LogConfig, TelemetrySection,
};
use smtp::{Domain, Mailbox, Outcome, ReversePath};
use tempfile::TempDir;
use testkit::TestDatabase;
use time::OffsetDateTime;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "correct horse";
const MESSAGE: &str = "Subject: hello\r\n\r\nworld\r\n";

fn mailbox(address: &str) -> Mailbox {
    Mailbox::parse(address).unwrap()
}

/// A delivery service with `example.org`, where alice, bob and carol are; carol is disabled.
struct Fixture {
    root: TempDir,
    config: Config,
    running: Running,
    directory: Directory,
    shutdown: CancellationToken,
}

impl Fixture {
    async fn start() -> Self {
        Self::start_on(testkit::database().await).await
    }

    async fn start_on(database: TestDatabase) -> Self {
        let root = tempfile::tempdir().unwrap();
        let config = config(&database, root.path().join("mail"));
        let shutdown = CancellationToken::new();
        let running = run(config.clone(), shutdown.clone()).await.unwrap();
        let directory = Directory::connect(&DatabaseConfig::new(database.url().into()))
            .await
            .unwrap();
        let domain = Domain::parse("example.org").unwrap();
        directory.add_domain(&domain, Some(7)).await.unwrap();
        for name in ["alice", "bob", "carol"] {
            let address = mailbox(&format!("{name}@example.org"));
            directory
                .add_account(&address, PASSWORD.into())
                .await
                .unwrap();
        }
        directory
            .set_disabled(&mailbox("carol@example.org"), true)
            .await
            .unwrap();
        Self {
            root,
            config,
            running,
            directory,
            shutdown,
        }
    }

    fn home(&self, name: &str) -> PathBuf {
        self.root.path().join("mail/example.org").join(name)
    }

    /// The messages in somebody's `new`.
    fn mail_of(&self, name: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.home(name).join("new")) else {
            return Vec::new();
        };
        entries
            .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect()
    }

    async fn lmtp(&self) -> Client {
        Client::ready(self.running.lmtp_addresses()[0]).await
    }
}

fn config(database: &TestDatabase, root: PathBuf) -> Config {
    let any_port: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Config {
        host_name: "mail.example.org".into(),
        database: DatabaseSection {
            url: Some(database.url().into()),
            acquire_timeout: Duration::from_secs(1),
            ..DatabaseSection::default()
        },
        maildir: MaildirSection { root, writers: 2 },
        grpc: GrpcServerSection {
            bind: any_port,
            tls: None,
            token: None,
        },
        limits: Limits::default(),
        listen: vec![ListenSection::new(any_port, ListenTls::None)],
        tls: None,
        lmtp: LmtpSection::default(),
        log: LogConfig::default(),
        telemetry: TelemetrySection::default(),
    }
}

fn channel(running: &Running) -> ChannelConfig {
    ChannelConfig {
        targets: vec![running.grpc_address().to_string().parse().unwrap()],
        tls: None,
        token: None,
        deadline: Duration::from_secs(30),
    }
}

fn request(recipients: &[&str]) -> DeliverRequest {
    DeliverRequest {
        queue_id: QueueId::generate(Shard::new(5).unwrap()),
        attempt: 1,
        reverse_path: ReversePath::Mailbox(mailbox("sender@example.net")),
        recipients: (10..)
            .zip(recipients.iter().map(|address| mailbox(address)))
            .collect(),
        accepted_at: OffsetDateTime::now_utc(),
        trace: TraceParent::generate(),
        content: Content::new("Received: from somewhere\r\n", MESSAGE),
    }
}

/// Verdict and status, such as `delivered 2.1.5`.
fn verdict(outcome: &Outcome) -> String {
    let verdict = match outcome {
        Outcome::Delivered(_) => "delivered",
        Outcome::Deferred(_) => "deferred",
        Outcome::Failed(_) => "failed",
    };
    format!("{verdict} {}", outcome.report().status)
}

/// An LMTP client that says and expects lines.
struct Client(BufStream<TcpStream>);

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        Self(BufStream::new(TcpStream::connect(address).await.unwrap()))
    }

    async fn ready(address: SocketAddr) -> Self {
        let mut client = Self::connect(address).await;
        client.expect("220 mail.example.org ").await;
        client
            .ask("LHLO client.example.net", "250-mail.example.org")
            .await;
        while client.line().await.starts_with("250-") {}
        client
    }

    async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// The next line; empty at the end of the connection.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.0.read_line(&mut line);
        tokio::time::timeout(testkit::DEADLINE, read)
            .await
            .unwrap()
            .unwrap();
        line
    }

    async fn expect(&mut self, start: &str) -> String {
        let line = self.line().await;
        assert!(line.starts_with(start), "expected {start:?}, got {line:?}");
        line
    }

    async fn ask(&mut self, command: &str, start: &str) -> String {
        self.say(&format!("{command}\r\n")).await;
        self.expect(start).await
    }

    async fn begin(&mut self) {
        self.ask("MAIL FROM:<sender@example.net>", "250 2.1.0")
            .await;
    }

    async fn send(&mut self, message: &str) {
        self.ask("DATA", "354").await;
        self.say(&format!("{message}.\r\n")).await;
    }
}

#[tokio::test]
async fn the_directory_answers_by_grpc() {
    let fixture = Fixture::start().await;
    let client = DirectoryClient::new(&channel(&fixture.running)).unwrap();
    for (address, expected) in [
        ("Alice+x@example.org", Lookup::Mailbox),
        ("abuse@example.org", Lookup::Mailbox),
        ("carol@example.org", Lookup::Disabled),
        ("dave@example.org", Lookup::Unknown),
        ("\"../alice\"@example.org", Lookup::Unknown),
        ("alice@example.net", Lookup::NotLocal),
    ] {
        assert_eq!(
            client.lookup(&mailbox(address)).await.unwrap(),
            expected,
            "{address}"
        );
    }
    assert!(client.is_local("example.org").await.unwrap());
    assert!(!client.is_local("[127.0.0.1]").await.unwrap());
    let postmaster = client.postmaster().await.unwrap();
    assert_eq!(postmaster, Some(mailbox("postmaster@example.org")));

    let alice = mailbox("alice@example.org");
    let verdict = client
        .authenticate("ALICE@example.org", &PASSWORD.into())
        .await
        .unwrap();
    let Authentication::Accepted(login) = verdict else {
        unreachable!("{verdict:?}");
    };
    assert_eq!((login.account, login.tenant), (alice.clone(), 7));
    let wrong = SecretString::from("wrong horse");
    for (login, password) in [
        ("alice@example.org", &wrong),
        ("carol@example.org", &PASSWORD.into()),
    ] {
        let verdict = client.authenticate(login, password).await.unwrap();
        assert_eq!(verdict, Authentication::Rejected);
    }
    assert!(client.may_send_as(&alice, &alice).await.unwrap());
    assert!(
        !client
            .may_send_as(&alice, &mailbox("bob@example.org"))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn each_recipient_of_a_relay_has_its_own_outcome() {
    let fixture = Fixture::start().await;
    let client = DeliveryClient::new(&channel(&fixture.running)).unwrap();
    let request = request(&[
        "alice+lists@example.org",
        "dave@example.org",
        "carol@example.org",
        "bob@example.net",
        "abuse@example.org",
    ]);
    let outcomes = client.deliver(&request).await.unwrap();
    let verdicts: Vec<_> = outcomes
        .iter()
        .map(|(number, outcome)| (*number, verdict(outcome)))
        .collect();
    let expected = [
        (10, "delivered 2.1.5"),
        (11, "failed 5.1.1"),
        (12, "failed 5.2.1"),
        (13, "deferred 4.3.5"),
        (14, "delivered 2.1.5"),
    ];
    assert_eq!(
        verdicts,
        expected.map(|(number, verdict)| (number, verdict.to_owned()))
    );
    assert_eq!(
        fixture.mail_of("alice"),
        [format!(
            "Return-Path: <sender@example.net>\r\nDelivered-To: alice+lists@example.org\r\n\
             Received: from somewhere\r\n{MESSAGE}"
        )]
    );
    let [of_postmaster] = fixture.mail_of("postmaster").try_into().unwrap();
    assert!(of_postmaster.contains(
        "\r\nDelivered-To: postmaster@example.org\r\nDelivered-To: abuse@example.org\r\n"
    ));
}

#[tokio::test]
async fn a_delivery_is_repeated_without_a_second_copy() {
    let fixture = Fixture::start().await;
    let first = DeliveryClient::new(&channel(&fixture.running)).unwrap();
    let other = run(fixture.config.clone(), fixture.shutdown.clone())
        .await
        .unwrap();
    let other = DeliveryClient::new(&channel(&other)).unwrap();
    let team = mailbox("team@example.org");
    let members = [mailbox("alice@example.org"), mailbox("bob@example.org")];
    fixture.directory.add_alias(&team, &members).await.unwrap();

    let mut request = request(&["team@example.org"]);
    first.deliver(&request).await.unwrap();
    let home = fixture.home("bob");
    let new = fs::read_dir(home.join("new"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let read = home
        .join("cur")
        .join(format!("{}:2,S", new.file_name().to_str().unwrap()));
    fs::rename(new.path(), read).unwrap();

    request.attempt = 2;
    let outcomes = other.deliver(&request).await.unwrap();
    assert_eq!(verdict(&outcomes[0].1), "delivered 2.1.5");
    assert_eq!(fixture.mail_of("alice").len(), 1);
    assert_eq!(fixture.mail_of("bob").len(), 0);
}

#[tokio::test]
async fn a_copy_that_cannot_be_written_is_tried_again_and_the_others_stay_single() {
    let fixture = Fixture::start().await;
    let client = DeliveryClient::new(&channel(&fixture.running)).unwrap();
    let team = mailbox("team@example.org");
    let members = [mailbox("alice@example.org"), mailbox("bob@example.org")];
    fixture.directory.add_alias(&team, &members).await.unwrap();
    fs::create_dir_all(fixture.home("")).unwrap();
    fs::write(fixture.home("bob"), "in the way").unwrap();

    let mut request = request(&["team@example.org"]);
    let outcomes = client.deliver(&request).await.unwrap();
    assert_eq!(verdict(&outcomes[0].1), "deferred 4.3.0");

    fs::remove_file(fixture.home("bob")).unwrap();
    request.attempt = 2;
    let outcomes = client.deliver(&request).await.unwrap();
    assert_eq!(verdict(&outcomes[0].1), "delivered 2.1.5");
    assert_eq!(
        (fixture.mail_of("alice").len(), fixture.mail_of("bob").len()),
        (1, 1)
    );
}

#[tokio::test]
async fn large_content_arrives_whole() {
    let fixture = Fixture::start().await;
    let client = DeliveryClient::new(&channel(&fixture.running)).unwrap();
    let line = "0123456789abcdef".repeat(4) + "\r\n";
    let mut request = request(&["alice@example.org"]);
    request.content = Content::new("A: b\r\n\r\n", line.repeat(100_000));
    client.deliver(&request).await.unwrap();
    let [stored] = fixture.mail_of("alice").try_into().unwrap();
    assert!(stored.ends_with(&format!("A: b\r\n\r\n{}", line.repeat(100_000))));
}

#[tokio::test]
async fn lmtp_delivers_and_answers_each_recipient() {
    let fixture = Fixture::start().await;
    fs::create_dir_all(fixture.home("")).unwrap();
    fs::write(fixture.home("bob"), "in the way").unwrap();
    let mut client = fixture.lmtp().await;
    client.begin().await;
    client.ask("RCPT TO:<Alice@example.org>", "250 2.1.5").await;
    client.ask("RCPT TO:<dave@example.org>", "550 5.1.1").await;
    client.ask("RCPT TO:<carol@example.org>", "550 5.2.1").await;
    client.ask("RCPT TO:<alice@example.net>", "550 5.7.1").await;
    client.ask("RCPT TO:<bob@example.org>", "250 2.1.5").await;
    client.ask("RCPT TO:<postmaster>", "250 2.1.5").await;
    client.send(MESSAGE).await;
    client.expect("250 2.1.5 <Alice@example.org> ").await;
    client.expect("451 4.3.0 <bob@example.org> ").await;
    client.expect("250 2.1.5 <postmaster@example.org> ").await;
    client.ask("QUIT", "221").await;

    let [stored] = fixture.mail_of("alice").try_into().unwrap();
    assert!(
        stored.starts_with(
            "Return-Path: <sender@example.net>\r\nDelivered-To: Alice@example.org\r\n\
         Received: from client.example.net ([127.0.0.1])\r\n\tby mail.example.org with LMTP id "
        ),
        "{stored}"
    );
    assert!(!stored.contains("for <"), "{stored}");
    assert!(stored.ends_with(MESSAGE));
    assert_eq!(fixture.mail_of("postmaster").len(), 1);
}

#[tokio::test]
async fn lmtp_forgets_the_recipients_of_an_abandoned_transaction() {
    let fixture = Fixture::start().await;
    let mut client = fixture.lmtp().await;
    client.begin().await;
    client.ask("RCPT TO:<bob@example.org>", "250").await;
    client.ask("RSET", "250").await;
    for _ in 0..2 {
        client.begin().await;
        client.ask("RCPT TO:<alice@example.org>", "250").await;
        client.send(MESSAGE).await;
        client.expect("250 2.1.5 <alice@example.org> ").await;
    }
    client.begin().await;
    client.ask("DATA", "503").await;
    assert_eq!(
        (fixture.mail_of("alice").len(), fixture.mail_of("bob").len()),
        (2, 0)
    );
}

#[tokio::test]
async fn lmtp_is_for_trusted_networks_only() {
    let fixture = Fixture::start().await;
    let mut config = fixture.config.clone();
    config.lmtp.trusted_networks = vec!["192.0.2.0/24".parse().unwrap()];
    let strict = run(config, fixture.shutdown.clone()).await.unwrap();
    let mut client = Client::connect(strict.lmtp_addresses()[0]).await;
    client.expect("554 ").await;
    client.ask("LHLO client.example.net", "503 ").await;
    client.ask("QUIT", "221 ").await;
    assert_eq!(client.line().await, "");
}

#[tokio::test]
async fn without_its_database_everything_is_deferred_and_heals_by_itself() {
    let postgres = testkit::postgres().await;
    let fixture = Fixture::start_on(postgres.database().await).await;
    let deliveries = DeliveryClient::new(&channel(&fixture.running)).unwrap();
    let questions = DirectoryClient::new(&channel(&fixture.running)).unwrap();
    postgres.kill().await;

    let mut client = fixture.lmtp().await;
    client.begin().await;
    client.ask("RCPT TO:<alice@example.org>", "451 4.4.3").await;
    let outcomes = deliveries
        .deliver(&request(&["alice@example.org"]))
        .await
        .unwrap();
    assert_eq!(verdict(&outcomes[0].1), "deferred 4.4.3");
    assert!(
        questions
            .lookup(&mailbox("alice@example.org"))
            .await
            .is_err()
    );
    assert!(
        questions
            .authenticate("alice@example.org", &PASSWORD.into())
            .await
            .is_err()
    );

    postgres.start().await;
    testkit::wait_until("deliveries to go on", async || {
        let outcomes = deliveries
            .deliver(&request(&["alice@example.org"]))
            .await
            .unwrap();
        outcomes[0].1.is_delivered()
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_says_so_to_its_clients_and_ends() {
    let fixture = Fixture::start().await;
    let mut client = fixture.lmtp().await;
    fixture.shutdown.cancel();
    client.expect("421 4.3.2").await;
    fixture.running.wait().await.unwrap();
}

#[tokio::test]
async fn what_prevents_the_start_is_named() {
    let fixture = Fixture::start().await;
    let start = async |config: Config| {
        let refused = run(config, CancellationToken::new()).await.unwrap_err();
        (service::one_line(&refused), refused)
    };
    let taken = fixture.running.lmtp_addresses()[0];
    let mut config = fixture.config.clone();
    config.listen = vec![ListenSection::new(taken, ListenTls::None)];
    let (line, refused) = start(config).await;
    assert!(matches!(refused, StartError::Listen(_)));
    assert!(line.contains(&taken.to_string()), "{line}");

    let mut config = fixture.config.clone();
    config.maildir.root = "/dev/null/mail".into();
    let (line, refused) = start(config).await;
    assert!(matches!(refused, StartError::Maildir(_)));
    assert!(line.contains("/dev/null/mail"), "{line}");

    let mut config = fixture.config.clone();
    config.database.url = Some("postgres://u:hunter2@127.0.0.1:1/x".into());
    let (line, refused) = start(config).await;
    assert!(matches!(refused, StartError::Migrate(_)));
    assert!(!line.contains("hunter2"), "{line}");
}
