//! The volume of the mailboxes is full; later it has space again.

use testkit::{Script, Sink};

use super::harness::{Plan, Volume};

const MEBIBYTES: usize = 64;

/// Deliveries that were put off for want of space.
const PUT_OFF: &str = "
    SELECT least(count(*), 10) FROM queue.attempt
    WHERE outcome = 'deferred' AND status = '4.3.1'";

#[tokio::test(flavor = "multi_thread")]
async fn mail_waits_in_the_queue_until_the_mailboxes_have_space() {
    let Some(volume) = Volume::mount(MEBIBYTES) else {
        return;
    };
    let far_end = Sink::start(Script::new()).await;
    let database = testkit::database().await;
    let mut fleet = Plan::of(1, 2, 2)
        .far_end(&far_end)
        .mail_in(volume.folder())
        .start(&database)
        .await;
    let load = fleet.load(4, 4);
    load.goes_on(100).await;

    volume.fill();
    fleet.books.give(PUT_OFF, 10).await;
    // Nobody at the door learns of it.
    load.goes_on(50).await;
    volume.free();
    load.goes_on(50).await;
    let sent = load.stop().await;

    let tally = fleet.tally(&sent, &far_end).await;
    eprintln!("no space for mail: {tally}");
    tally.assert_exactly_once();
    let refusals = sent.refused_other_than("none");
    assert_eq!((refusals, sent.cuts()), (vec![], vec![]));
    fleet.assert_all_run();
    fleet.end().await;
}
