//! A relay stands still (SIGSTOP) beyond its leases while it has mail under way, and then goes on.

use std::time::{Duration, Instant};

use testkit::{Action, Script, Sink, Stage, wait_until};

use super::harness::{Fleet, Plan, held_by};

/// Connections to the far end, and so the most messages that may be under way there.
const CONNECTIONS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_stood_still_too_long_changes_nothing_and_starts_anew() {
    // A far end that says 250 late, so that something is always under way.
    let slow = Script::new().on(Stage::Dot, Action::Delay(Duration::from_secs(1)));
    let far_end = Sink::start(slow).await;
    let database = testkit::database().await;
    let mut fleet = Plan::of(1, 2, 1)
        .far_end(&far_end)
        .relay(&format!(
            "outbound.connections_per_destination = {CONNECTIONS}"
        ))
        .start(&database)
        .await;
    let load = fleet.load(3, 2);
    let zombie = fleet.books.incarnation_of(&fleet.relays[0].host_name).await;
    fleet.books.hold_much(zombie, 20).await;

    fleet.relays[0].freeze();
    let frozen = Instant::now();
    fleet.books.give(&held_by(zombie), 0).await;
    let takeover = frozen.elapsed();
    let fenced = since_it_was_fenced(&fleet, zombie).await;
    fleet.relays[0].thaw();
    fleet.relays[0].says("pronounced dead").await;
    far_end.set(Script::new());

    let host_name = &fleet.relays[0].host_name;
    let reborn = format!(
        "SELECT count(*) FROM queue.attempt WHERE incarnation > {zombie} AND node = '{host_name}'"
    );
    wait_until("the new incarnation to be at work", async || {
        fleet.books.number(&reborn).await >= 20
    })
    .await;
    let sent = load.stop().await;

    let tally = fleet.tally(&sent, &far_end).await;
    let in_vain = fleet.books.number(&format!("{fenced} AND fenced")).await;
    eprintln!("relay frozen: taken over after {takeover:.1?}, {in_vain} attempts fenced; {tally}");
    tally.assert_none_lost(CONNECTIONS);
    assert!(
        in_vain > 0,
        "the far end had taken mail that the relay then had no lease for"
    );
    let changes = format!("{fenced} AND NOT fenced");
    assert_eq!(
        fleet.books.number(&changes).await,
        0,
        "what a zombie changed"
    );
    fleet.end().await;
}

/// Counts the attempts that an incarnation recorded after it had been pronounced dead.
async fn since_it_was_fenced(fleet: &Fleet, incarnation: i64) -> String {
    let fenced = format!(
        "SELECT (extract(epoch FROM fenced_at) * 1e6)::bigint FROM queue.incarnation WHERE id = {incarnation}"
    );
    let fenced = fleet.books.number(&fenced).await;
    format!(
        "SELECT count(*) FROM queue.attempt
         WHERE incarnation = {incarnation} AND extract(epoch FROM at) * 1e6 > {fenced}"
    )
}
