//! Who may call the services over gRPC, and what becomes of mail between services that don't know each other.

use testkit::{Script, Sink, wait_until};
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

use super::harness::{
    ALICE, BOB, Caller, Credentials, Metrics, PASSWORD, Plan, TOKEN, mail_client,
};

const WRONG: &str = "a-token-that-somebody-has-guessed";

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_to_all_and_the_rest_to_those_who_know_the_token() {
    let database = testkit::database().await;
    let mut fleet = Plan::of(1, 2, 2).start(&database).await;
    let (unknown, known) = (Caller::unknown(), Caller::with_token(TOKEN));
    let guessing = Caller::with_token(WRONG);
    for service in fleet.services() {
        assert_eq!(unknown.health(service).await, Ok(ServingStatus::Serving));
        for caller in [&unknown, &guessing] {
            assert_eq!(caller.reflection(service).await, Err(Code::Unauthenticated));
        }
        let told = known.reflection(service).await.unwrap();
        assert!(
            told.iter().any(|name| name == "grpc.health.v1.Health"),
            "{told:?}"
        );
    }
    let told = known.reflection(&fleet.relays[0]).await.unwrap();
    assert!(
        told.iter().any(|name| name == "chasqui.relay.v1.HandOff"),
        "{told:?}"
    );
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_flows_by_mutual_tls_and_nobody_without_a_certificate_gets_in() {
    let far_end = Sink::start(Script::new()).await;
    let database = testkit::database().await;
    let mut fleet = Plan::new()
        .credentials(Credentials::MutualTls)
        .far_end(&far_end)
        .start(&database)
        .await;
    let load = fleet.load(2, 1);
    load.goes_on(40).await;
    let sent = load.stop().await;
    fleet.tally(&sent, &far_end).await.assert_exactly_once();

    let folder = fleet.folder().to_owned();
    let now = time::OffsetDateTime::now_utc().unix_timestamp() as f64;
    for service in fleet.services() {
        let metrics = Metrics::of(service.telemetry).await;
        let expires = "chasqui_certificate_expires_timestamp_seconds";
        let told = metrics.value(&format!("{expires}{{of=\"grpc\"}}"));
        assert!(told > now, "{}: {told}", service.host_name);
        // Only who takes SMTP has a certificate for that, too.
        let smtp = metrics.find(&format!("{expires}{{of=\"smtp\"}}"));
        assert_eq!(smtp.is_some(), service.smtp.is_some());
        let known = Caller::with_certificate(&folder).health(service).await;
        assert_eq!(known, Ok(ServingStatus::Serving));
        assert!(Caller::trusting(&folder).health(service).await.is_err());
        assert!(Caller::unknown().health(service).await.is_err());
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_waits_while_a_token_is_wrong() {
    let database = testkit::database().await;
    let mut fleet = Plan::new().start(&database).await;
    let relay = &mut fleet.relays[0];
    relay.terminate().await;
    relay.configure(&format!(
        "directory.token = \"{WRONG}\"\ndelivery.token = \"{WRONG}\""
    ));
    relay.start().await;
    let submission = &mut fleet.submissions[0];
    submission.terminate().await;
    submission.configure(&format!("relay.token = \"{WRONG}\""));
    submission.start().await;

    // The relay doesn't know submission, nor delivery the relay: mail is taken all the same, and waits.
    assert_eq!(fleet.submit(&[BOB], "waits").await.code, 250);
    let deferred = "SELECT count(*) FROM queue.attempts WHERE outcome = 'deferred'";
    wait_until("the mail to be deferred", async || {
        fleet.books.number(deferred).await > 0
    })
    .await;
    assert_eq!(
        fleet
            .books
            .number("SELECT count(*) FROM queue.message")
            .await,
        1
    );
    for service in [&fleet.relays[0], &fleet.submissions[0]] {
        let log = service.log();
        assert!(log.contains("the token is missing or wrong"), "{log}");
    }

    let relay = &mut fleet.relays[0];
    relay.terminate().await;
    relay.configure(&format!(
        "directory.token = \"{TOKEN}\"\ndelivery.token = \"{TOKEN}\""
    ));
    relay.start().await;
    fleet.books.are_empty().await;
    assert_eq!(fleet.mail_of("bob", 1).await.len(), 1);

    // Who can't ask the directory lets nobody in, for now.
    let submission = &mut fleet.submissions[0];
    submission.terminate().await;
    submission.configure(&format!("directory.token = \"{WRONG}\""));
    submission.start().await;
    let mut client = mail_client(fleet.submissions[0].smtp()).await;
    client.login(ALICE, PASSWORD, 454).await;
    drop(client);
    fleet.end().await;
}
