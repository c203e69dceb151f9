//! The DNS says where mail goes (RFC 5321 §5.1).

use std::net::Ipv6Addr;

use testkit::{Script, Sink, Zone};

use super::{Exchangers, address};
use crate::fleet::{Fleet, letter};

#[tokio::test(flavor = "multi_thread")]
async fn the_exchanger_of_the_lowest_preference_gets_the_mail() {
    let far = Exchangers::start([Script::new(), Script::new(), Script::new()]).await;
    let fleet = far.fleet().await;
    fleet.submit(&["jo@far.test"], &letter("in order")).await;

    far.sinks[0].wait_for(1).await;
    fleet.queue_is_empty().await;
    let connections: Vec<usize> = far.sinks.iter().map(Sink::connections).collect();
    assert_eq!(connections, [1, 0, 0]);
    far.assert_well_treated();
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_without_exchangers_is_its_own_host() {
    let sink = Sink::start(Script::new()).await;
    let dns = Zone::new().host("far.test", address(1)).serve().await;
    let fleet = Fleet::builder()
        .account("alice")
        .dns(&dns)
        .exchangers_like(&sink)
        .start()
        .await;
    fleet.submit(&["jo@far.test"], &letter("implicit")).await;

    sink.wait_for(1).await;
    fleet.queue_is_empty().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchanger_that_is_not_to_be_found_is_passed_over() {
    let sink = Sink::start(Script::new()).await;
    let zone = Zone::new()
        .mx("far.test", 10, "gone.far.test")
        .mx("far.test", 20, "mx.far.test")
        .host("mx.far.test", address(1));
    let dns = zone.serve().await;
    let fleet = Fleet::builder()
        .account("alice")
        .dns(&dns)
        .exchangers_like(&sink)
        .start()
        .await;
    fleet.submit(&["jo@far.test"], &letter("second")).await;

    sink.wait_for(1).await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.attempts("deferred").await, 0);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_dns_fails_the_mail_waits() {
    let sink = Sink::start(Script::new()).await;
    let dns = Zone::new().servfail("far.test").serve().await;
    let fleet = Fleet::builder()
        .account("alice")
        .dns(&dns)
        .exchangers_like(&sink)
        .start()
        .await;
    fleet.submit(&["jo@far.test"], &letter("patience")).await;
    fleet
        .sql_gives(
            "SELECT count(*) FROM queue.destination WHERE domain = 'far.test'",
            1,
        )
        .await;
    assert_eq!(fleet.recipients("queued").await, 1);
    dns.replace(Zone::new().host("far.test", address(1)));

    sink.wait_for(1).await;
    fleet.queue_is_empty().await;
    assert!(fleet.attempts("deferred").await >= 1);
    assert!(fleet.mail_now("alice").is_empty());
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_to_better_exchangers_than_ourselves_and_to_no_worse() {
    let sink = Sink::start(Script::new()).await;
    let zone = Zone::new()
        .mx("far.test", 10, "mx.far.test")
        .mx("far.test", 20, "MX1.Fleet.Test")
        .host("mx.far.test", address(1));
    let dns = zone.serve().await;
    let fleet = Fleet::builder()
        .account("alice")
        .dns(&dns)
        .exchangers_like(&sink)
        .start()
        .await;
    fleet
        .submit(&["jo@far.test"], &letter("we are the backup"))
        .await;

    sink.wait_for(1).await;
    fleet.queue_is_empty().await;
    let asked_for_us = |question: &String| question.to_lowercase().contains("mx1.fleet.test");
    assert!(!dns.questions().iter().any(asked_for_us));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_where_nobody_listens_is_followed_by_the_hosts_next() {
    let sink = Sink::start(Script::new()).await;
    let zone = Zone::new()
        .mx("far.test", 10, "mx.far.test")
        .host("mx.far.test", Ipv6Addr::LOCALHOST)
        .host("mx.far.test", address(9))
        .host("mx.far.test", address(1));
    let dns = zone.serve().await;
    let fleet = Fleet::builder()
        .account("alice")
        .dns(&dns)
        .exchangers_like(&sink)
        .start()
        .await;
    fleet
        .submit(&["jo@far.test"], &letter("many addresses"))
        .await;

    sink.wait_for(1).await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.attempts("deferred").await, 0);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_has_the_exchangers_of_what_it_stands_for() {
    let sink = Sink::start(Script::new()).await;
    let zone = Zone::new()
        .alias("far.test", "real.test")
        .mx("real.test", 10, "mx.real.test")
        .host("mx.real.test", address(1));
    let dns = zone.serve().await;
    let fleet = Fleet::builder()
        .account("alice")
        .dns(&dns)
        .exchangers_like(&sink)
        .start()
        .await;
    fleet.submit(&["jo@far.test"], &letter("alias")).await;

    let message = sink.wait_for(1).await.remove(0);
    assert_eq!(
        message.recipients,
        ["jo@far.test"],
        "addresses stay as they are"
    );
    fleet.queue_is_empty().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_too_long_for_a_datagram_is_asked_for_again() {
    let sink = Sink::start(Script::new()).await;
    let mut zone = Zone::new()
        .mx("far.test", 10, "mx.far.test")
        .host("mx.far.test", address(1));
    for number in 0..200 {
        let host = format!("a-host-with-a-rather-long-name-{number}.elsewhere.test");
        zone = zone.mx("far.test", 20, &host);
    }
    let dns = zone.serve().await;
    let fleet = Fleet::builder()
        .account("alice")
        .dns(&dns)
        .exchangers_like(&sink)
        .start()
        .await;
    fleet.submit(&["jo@far.test"], &letter("truncated")).await;

    sink.wait_for(1).await;
    fleet.queue_is_empty().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_literal_is_its_own_host() {
    let sink = Sink::start(Script::new()).await;
    let fleet = Fleet::builder()
        .account("alice")
        .exchangers_like(&sink)
        .start()
        .await;
    fleet.submit(&["jo@[127.0.0.1]"], &letter("no names")).await;

    let message = sink.wait_for(1).await.remove(0);
    assert_eq!(message.recipients, ["jo@[127.0.0.1]"]);
    fleet.queue_is_empty().await;
    fleet.end().await;
}
