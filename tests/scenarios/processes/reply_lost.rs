//! The connection is cut between the final dot and its reply: whoever sent cannot know, and sends again.

use std::time::Duration;

use testkit::{Action, Proxy, Script, Sink, SmtpTalk, Stage, Traffic, wait_until};

use super::harness::{BOB, Plan, STRANGER, letter};

/// Connections to the far end, and so the most messages that may be under way there.
const CONNECTIONS: usize = 10;
/// How often they are cut.
const CUTS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn on_the_way_from_the_far_end_it_makes_one_copy_more_at_most_of_what_was_under_way() {
    // So that some messages wait for their reply at any time.
    let slow = Script::new().on(Stage::Dot, Action::Delay(Duration::from_millis(300)));
    let far_end = Sink::start(slow).await;
    let way = Proxy::to(far_end.address()).await;
    let database = testkit::database().await;
    let fleet = Plan::of(1, 2, 1)
        .far_end_at(way.address())
        .relay(&format!(
            "outbound.connections_per_destination = {CONNECTIONS}"
        ))
        .start(&database)
        .await;
    let load = fleet.load(4, 2);
    load.goes_on(100).await;

    for _ in 0..CUTS {
        let before = far_end.messages().len();
        wait_until("messages that have no reply yet", async || {
            far_end.messages().len() >= before + 3
        })
        .await;
        way.cut();
        load.goes_on(50).await;
    }
    let sent = load.stop().await;

    let tally = fleet.tally(&sent, &far_end).await;
    eprintln!("replies of the far end lost: {tally}");
    tally.assert_none_lost(CUTS * 2 * CONNECTIONS);
    assert!(tally.remote_duplicates > 0, "nothing came twice: {tally}");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_way_to_the_client_what_it_could_not_know_was_taken_arrives_once() {
    let database = testkit::database().await;
    let fleet = Plan::new().start(&database).await;
    let way = Proxy::to(fleet.relays[0].smtp()).await;
    let mut client = SmtpTalk::hello(way.address()).await;
    client
        .command(&format!("MAIL FROM:<{STRANGER}>"), 250)
        .await;
    client.command(&format!("RCPT TO:<{BOB}>"), 250).await;
    client.command("DATA", 354).await;
    way.set(Traffic::Deaf);
    let content = letter("unknown", STRANGER);
    client.send(format!("{content}.\r\n").as_bytes()).await;

    let accepted = "SELECT coalesce(sum(accepted), 0)::bigint FROM queue.balance";
    fleet.books.give(accepted, 1).await;
    way.cut();
    assert!(client.next_answer().await.is_none(), "it was to be lost");
    way.set(Traffic::Passes);
    assert_eq!(fleet.mail_of("bob", 1).await.len(), 1);
    // As a client does that has not heard that its message was taken.
    assert_eq!(fleet.inject(&[BOB], "unknown").await.code, 250);
    assert_eq!(fleet.mail_of("bob", 2).await.len(), 2);
    fleet.books.are_empty().await;
    fleet.end().await;
}
