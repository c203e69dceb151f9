//! Two of each service at work: every message arrives, and arrives once.

use testkit::{Script, Sink};

use super::harness::{Fleet, Plan};

#[tokio::test(flavor = "multi_thread")]
async fn several_clients_mail_by_two_of_each_service_arrives_exactly_once() {
    let far_end = Sink::start(Script::new()).await;
    let database = testkit::database().await;
    let mut fleet = Plan::of(2, 2, 2).far_end(&far_end).start(&database).await;
    let load = fleet.load(6, 4);
    load.goes_on(400).await;
    let sent = load.stop().await;

    let tally = fleet.tally(&sent, &far_end).await;
    let delay = fleet.books.number(MEDIAN_DELAY).await;
    eprintln!("two of each: {tally}; half of it within {delay} ms");
    tally.assert_exactly_once();
    assert_eq!(tally.unacknowledged, 0, "{tally}");
    let refusals = sent.refused_other_than("none");
    assert_eq!((refusals, sent.cuts()), (vec![], vec![]));
    assert_eq!(far_end.complaints(), [""; 0]);
    assert_all_relays_worked(&fleet).await;
    for service in fleet.services() {
        let log = service.log();
        let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", service.host_name);
    }
    fleet.end().await;
}

/// From acceptance to the end of the attempt, in milliseconds.
const MEDIAN_DELAY: &str = "
    SELECT (percentile_cont(0.5) WITHIN GROUP (ORDER BY delay_ms))::bigint FROM queue.attempt";

async fn assert_all_relays_worked(fleet: &Fleet) {
    for relay in &fleet.relays {
        let node = &relay.host_name;
        let attempts = format!("SELECT count(*) FROM queue.attempt WHERE node = '{node}'");
        assert!(
            fleet.books.number(&attempts).await > 0,
            "{node} did nothing"
        );
    }
}
