//! When others are away, and when we go: nothing is refused for good, and nothing hangs.

use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::certificate;
use crate::directory::Served;
use crate::fleet::{ALICE, Fleet, start_error};

const CONTENT: &str = "From: sales@example.org\r\n\r\nbody\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn without_a_directory_every_question_is_answered_with_a_transient_no() {
    let mut fleet = Fleet::start().await;
    let mut before = fleet.logged_in();
    before.ask("MAIL FROM:<alice@example.org>", "250");
    before.ask("RCPT TO:<jo@example.net>", "250");
    before.ask("DATA", "354");
    let served = fleet.served.take().unwrap();
    let address = served.address;
    served.stop().await;

    before.say(format!("{CONTENT}.\r\n"));
    before.expect("451 4.3.0");
    before.ask("MAIL FROM:<sales@example.org>", "451 4.3.0");
    before.ask("MAIL FROM:<alice@example.org>", "250");
    before.ask("RCPT TO:<Postmaster>", "451 4.3.0");
    let mut client = fleet.encrypted();
    client.ask(&format!("AUTH PLAIN {}", *ALICE), "454 4.7.0");

    fleet.served = Some(Served::start(address, fleet.directory.clone()).await);
    testkit::wait_until("a login", async || {
        client.say(format!("AUTH PLAIN {}\r\n", *ALICE));
        client.reply().starts_with("235")
    })
    .await;
    before.ask("RSET", "250");
    let said = before.submit("sales@example.org", &["jo@example.net"], CONTENT);
    assert!(said.starts_with("250"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_queue_the_client_keeps_the_message() {
    let postgres = testkit::postgres().await;
    let fleet = Fleet::with_queue_on(&postgres).await;
    let mut client = fleet.logged_in();
    postgres.stop().await;
    let said = client.submit("alice@example.org", &["jo@example.net"], CONTENT);
    assert!(said.starts_with("451 4.3.0"), "{said}");
    postgres.start().await;
    testkit::wait_until("the queue", async || {
        let said = client.submit("alice@example.org", &["jo@example.net"], CONTENT);
        said.starts_with("250")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_after_a_reload() {
    let mut fleet = Fleet::start().await;
    fleet.trust = certificate::renew(fleet.folder.path());
    fleet.tls.reload().unwrap();
    fleet.logged_in();
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told() {
    let fleet = Fleet::start().await;
    let endpoint = Endpoint::from_shared(format!("http://{}", fleet.grpc)).unwrap();
    let mut health = HealthClient::new(endpoint.connect().await.unwrap());
    let answer = health.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_tells_idle_sessions_and_ends() {
    let fleet = Fleet::start().await;
    let mut client = fleet.logged_in();
    fleet.shut_down();
    client.expect("421 4.3.2");
    client.expect_end();
    fleet.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_at_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listen = format!("[{{ address = \"{address}\" }}]");
    let error = start_error(&[("LISTEN", &listen)]).await;
    let line = service::one_line(&error);
    assert!(
        line.starts_with(&format!("cannot listen on {address}: ")),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_named_at_the_start() {
    let url = "postgres://nobody@127.0.0.1:1/chasqui";
    let error = start_error(&[("DATABASE__URL", url)]).await;
    let line = service::one_line(&error);
    assert!(
        line.contains("database") && line.contains("refused"),
        "{line}"
    );
}
