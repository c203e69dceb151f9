//! Mail that can go nowhere: the sender is told at once, and why.

use testkit::{DnsServer, Script, Sink, Zone};

use super::address;
use crate::fleet::{Fleet, letter};

/// Submits to `jo@far.test` in this world, and looks at the report.
async fn assert_reported(dns: &DnsServer, words: &[&str]) {
    let fleet = Fleet::builder().account("alice").dns(dns).start().await;
    fleet.submit(&["jo@far.test"], &letter("lost letter")).await;

    let report = fleet.first_mail_of("alice").await;
    report.assert_reports(&["jo@far.test", "Action: failed", "lost letter"]);
    report.assert_reports(words);
    fleet.queue_is_empty().await;
    assert_eq!(fleet.mail_now("alice").len(), 1);
    assert_eq!(fleet.recipients("failed").await, 1);
    assert_eq!(fleet.recipients("delivered").await, 1, "the report itself");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_does_not_exist() {
    let dns = Zone::new().serve().await;
    assert_reported(&dns, &["Status: 5.1.2", "does not exist"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_without_any_host() {
    let dns = Zone::new().text("far.test", "no mail here").serve().await;
    assert_reported(&dns, &["Status: 5.1.2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_mx() {
    let dns = Zone::new().null_mx("far.test").serve().await;
    assert_reported(&dns, &["Status: 5.1.10", "RFC 7505"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ourselves_as_the_best_exchanger() {
    let zone = Zone::new()
        .mx("far.test", 10, "mx1.fleet.test")
        .mx("far.test", 20, "mx.far.test");
    let dns = zone.serve().await;
    assert_reported(&dns, &["Status: 5.4.6"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchanger_in_a_network_where_none_can_be() {
    let sink = Sink::start(Script::new()).await;
    let dns = Zone::new().host("far.test", address(1)).serve().await;
    let fleet = Fleet::builder()
        .account("alice")
        .dns(&dns)
        .exchangers_like(&sink)
        .relay("outbound.refused_networks = [\"127.0.0.0/8\"]")
        .start()
        .await;
    fleet
        .submit(&["jo@far.test", "jo@[127.0.0.1]"], &letter("to ourselves"))
        .await;

    for report in fleet.mail_of("alice", 2).await {
        report.assert_reports(&["Status: 5.1.2", "to ourselves"]);
    }
    fleet.queue_is_empty().await;
    assert_eq!(sink.connections(), 0);
    fleet.end().await;
}
