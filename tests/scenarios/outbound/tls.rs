//! TLS when the far end offers it, and never at the cost of the mail (RFC 7435 §3).

use testkit::{Action, Script, Sink, Stage, TestCertificate};

use super::fleet_before;
use crate::fleet::letter;

fn offering_tls() -> Script {
    Script::new().starttls(&TestCertificate::self_signed(&["mx.far.test"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_used_where_it_is_offered_whatever_the_certificate() {
    let sink = Sink::start(offering_tls()).await;
    let fleet = fleet_before(&sink).await;
    fleet.submit(&["jo@far.test"], &letter("sealed")).await;

    assert!(sink.wait_for(1).await[0].tls);
    fleet.queue_is_empty().await;
    let in_tls = "SELECT count(*) FROM queue.attempts WHERE tls LIKE 'TLSv1.3%'";
    assert_eq!(fleet.sql(in_tls).await, 1);
    assert_eq!(sink.complaints(), Vec::<String>::new());
    fleet.end().await;
}

/// However TLS fails, the mail goes in plain within the same attempt.
async fn assert_goes_in_plain(script: Script, connections: usize) {
    let sink = Sink::start(script).await;
    let fleet = fleet_before(&sink).await;
    fleet.submit(&["jo@far.test"], &letter("open")).await;

    assert!(!sink.wait_for(1).await[0].tls);
    fleet.queue_is_empty().await;
    assert_eq!(sink.connections(), connections);
    assert_eq!(fleet.attempts("deferred").await, 0);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_breaks_off_is_retried_in_plain() {
    assert_goes_in_plain(offering_tls().on(Stage::Handshake, Action::Close), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_none_is_retried_in_plain() {
    let action = Action::reply_and_close("220 not a handshake");
    assert_goes_in_plain(offering_tls().on(Stage::Handshake, action), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_starttls_that_is_refused_goes_on_in_plain() {
    let action = Action::reply("454 4.7.0 TLS not available");
    assert_goes_in_plain(offering_tls().on(Stage::StartTls, action), 1).await;
}
