//! A relay is killed (`kill -9`) while it holds leases and has mail under way: another takes over.

use std::time::{Duration, Instant};

use testkit::{Action, Script, Sink, Stage};

use super::harness::{Plan, held_by, left_of};

/// Connections to the far end, and so the most messages that may be under way there.
const CONNECTIONS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn another_relay_takes_over_what_a_killed_one_held() {
    // A far end that takes its time, in the midst of messages and before it says 250.
    let slow = Script::new()
        .first(6, Stage::Content, Action::Delay(Duration::from_secs(5)))
        .on(Stage::Dot, Action::Delay(Duration::from_secs(1)));
    let far_end = Sink::start(slow).await;
    let database = testkit::database().await;
    let mut fleet = Plan::of(1, 2, 1)
        .far_end(&far_end)
        .relay(&format!(
            "outbound.connections_per_destination = {CONNECTIONS}"
        ))
        .start(&database)
        .await;
    let load = fleet.load(4, 2);
    let victim = fleet.books.incarnation_of(&fleet.relays[0].host_name).await;
    fleet.books.hold_much(victim, 20).await;

    let killed = Instant::now();
    fleet.relays[0].kill().await;
    far_end.set(Script::new());
    let held = fleet.books.held_by(victim).await;
    let orphans = fleet.books.messages_held_by(victim).await;
    fleet.books.give(&held_by(victim), 0).await;
    let takeover = killed.elapsed();
    fleet.books.give(&left_of(&orphans), 0).await;
    let arrival = killed.elapsed();
    load.goes_on(50).await;
    let sent = load.stop().await;

    let tally = fleet.tally(&sent, &far_end).await;
    eprintln!(
        "relay killed: {held} leases taken over after {takeover:.1?}, \
         and their mail delivered after {arrival:.1?}; {tally}"
    );
    tally.assert_none_lost(CONNECTIONS);
    fleet.relays[0].start().await;
    fleet.end().await;
}

/// Where there is no other relay, the next process of the same one takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_lone_relay_takes_over_from_itself() {
    let far_end = Sink::start(Script::new().on(Stage::Dot, Action::Stall)).await;
    let database = testkit::database().await;
    let mut fleet = Plan::new().far_end(&far_end).start(&database).await;
    let load = fleet.load(2, 0);
    let victim = fleet.books.incarnation_of(&fleet.relays[0].host_name).await;
    fleet.books.hold_much(victim, 10).await;
    let sent = load.stop().await;

    let killed = Instant::now();
    fleet.relays[0].kill().await;
    far_end.set(Script::new());
    fleet.relays[0].start().await;
    let tally = fleet.tally(&sent, &far_end).await;
    eprintln!(
        "lone relay killed: all delivered after {:.1?}; {tally}",
        killed.elapsed()
    );
    tally.assert_exactly_once();
    fleet.end().await;
}
