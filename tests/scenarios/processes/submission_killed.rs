//! Submission is killed (`kill -9`) under load, twice.

use testkit::{Script, Sink};

use super::harness::Plan;

#[tokio::test(flavor = "multi_thread")]
async fn every_message_whose_250_was_read_arrives_after_submission_is_killed() {
    let far_end = Sink::start(Script::new()).await;
    let database = testkit::database().await;
    let mut fleet = Plan::new().far_end(&far_end).start(&database).await;
    let load = fleet.load(6, 0);
    for _ in 0..2 {
        load.goes_on(100).await;
        fleet.submissions[0].kill().await;
        fleet.submissions[0].start().await;
    }
    load.goes_on(50).await;
    let sent = load.stop().await;

    let tally = fleet.tally(&sent, &far_end).await;
    eprintln!("submission killed: {tally}");
    tally.assert_exactly_once();
    fleet.end().await;
}
