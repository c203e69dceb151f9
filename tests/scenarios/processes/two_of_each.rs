//! Two of each service at work: every message arrives, and arrives once.

use testkit::{Script, Sink};

use super::harness::Plan;

#[tokio::test(flavor = "multi_thread")]
async fn several_clients_mail_by_two_of_each_service_arrives_exactly_once() {
    let far_end = Sink::start(Script::new()).await;
    let database = testkit::database().await;
    let fleet = Plan::of(2, 2, 2).far_end(&far_end).start(&database).await;
    let load = fleet.load(6, 4);
    load.goes_on(400).await;
    let sent = load.stop().await;

    let tally = fleet.tally(&sent, &far_end).await;
    eprintln!("two of each: {tally}");
    tally.assert_exactly_once();
    assert_eq!(tally.unacknowledged, 0, "{tally}");
    assert_eq!(
        (sent.refused_other_than("none"), sent.cuts()),
        (vec![], vec![])
    );
    assert_eq!(far_end.complaints(), [""; 0]);
    fleet.end().await;
}
