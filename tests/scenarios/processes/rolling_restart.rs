//! All services are restarted one after another (SIGTERM) under load.

use std::time::Instant;

use testkit::{Script, Sink};

use super::harness::{Books, Plan, Service, held_by};

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_refuses_nobody_and_loses_nothing() {
    let far_end = Sink::start(Script::new()).await;
    let database = testkit::database().await;
    let mut fleet = Plan::of(2, 2, 2).far_end(&far_end).start(&database).await;
    let books = fleet.books.clone();
    let load = fleet.load(4, 4);
    load.goes_on(100).await;
    for relay in &mut fleet.relays {
        restart_relay(relay, &books).await;
        load.goes_on(50).await;
    }
    for service in fleet.submissions.iter_mut().chain(&mut fleet.deliveries) {
        restart(service).await;
        load.goes_on(50).await;
    }
    for relay in &mut fleet.relays {
        relay.says("producer joined").await;
    }
    let sent = load.stop().await;

    let tally = fleet.tally(&sent, &far_end).await;
    eprintln!(
        "rolling restart: {tally}; clients came back {} times, none waited longer than {:.1?}",
        sent.troubles(),
        sent.longest_outage()
    );
    tally.assert_exactly_once();
    let refusals = sent.refused_other_than("421");
    assert!(refusals.is_empty(), "refused: {refusals:?}");
    assert!(sent.cuts().is_empty(), "cut off: {:?}", sent.cuts());
    fleet.end().await;
}

async fn restart(service: &mut Service) {
    let status = service.terminate().await;
    assert!(
        status.success(),
        "{} ended with {status}",
        service.host_name
    );
    service.start().await;
}

/// Its leases are given back as it ends; nobody has to wait for them to lapse. What a producer commits to it at that very
/// moment is found at once, because its incarnation has ended.
async fn restart_relay(relay: &mut Service, books: &Books) {
    let incarnation = books.incarnation_of(&relay.host_name).await;
    let status = relay.terminate().await;
    assert!(status.success(), "{} ended with {status}", relay.host_name);
    let ended = format!(
        "SELECT count(*) FROM queue.incarnation WHERE id = {incarnation} AND ended_at IS NOT NULL"
    );
    assert_eq!(
        books.number(&ended).await,
        1,
        "its incarnation has not ended"
    );
    let (late, since) = (books.held_by(incarnation).await, Instant::now());
    books.give(&held_by(incarnation), 0).await;
    eprintln!(
        "{} ended: {late} late leases, free after {:.1?}",
        relay.host_name,
        since.elapsed()
    );
    relay.start().await;
}
