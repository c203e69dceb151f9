//! A destination is down: it rests as a whole, and one probe at a time finds out when it is back.

use testkit::{Action, Script, Sink, Stage, wait_until};

use super::fleet_before;
use crate::fleet::{Fleet, letter};

const MESSAGES: usize = 20;
const FAILURES: &str = "SELECT coalesce(max(failures), 0)::bigint FROM queue.destination";
const READY: &str = "SELECT count(*) FROM queue.units WHERE state = 'ready'";

#[tokio::test(flavor = "multi_thread")]
async fn one_probe_a_pause_however_much_waits_and_all_flows_when_it_is_back() {
    let down = Script::new().on(Stage::Greeting, Action::reply_and_close("421 4.3.2 Down"));
    let sink = Sink::start(down).await;
    let fleet = fleet_before(&sink).await;
    let mut client = fleet.mail_client("alice").await;
    for number in 0..MESSAGES {
        let content = letter(&format!("number {number}"));
        crate::fleet::submit_over(&mut client, &["jo@far.test"], &content).await;
    }
    client.quit().await;
    let waiting = i64::try_from(MESSAGES).unwrap();
    fleet.sql_gives(READY, waiting).await;

    let (failures, connections) = (fleet.sql(FAILURES).await, sink.connections());
    wait_until("three more probes", async || {
        fleet.sql(FAILURES).await >= failures + 3
    })
    .await;
    let probes = sink.connections() - connections;
    let counted = usize::try_from(fleet.sql(FAILURES).await - failures).unwrap();
    assert!(
        probes <= counted + 1,
        "{probes} connections for {counted} failures: one probe at a time"
    );

    sink.set(Script::new());
    sink.wait_for(MESSAGES).await;
    fleet.queue_is_empty().await;
    assert_eq!(sink.messages().len(), MESSAGES, "each once");
    assert!(fleet.mail_now("alice").is_empty());
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_suspends_and_a_probe_recovers() {
    let sink = Sink::start(Script::new()).await;
    let address = sink.address();
    let fleet = fleet_before(&sink).await;
    sink.stop().await;
    fleet
        .submit(&["jo@far.test"], &letter("nobody listens"))
        .await;
    let suspended = "SELECT count(*) FROM queue.destination
                     WHERE suspended_until IS NOT NULL AND last_reply LIKE '%refused%'";
    fleet.sql_gives(suspended, 1).await;
    let sink = Sink::start_at((address.ip(), address.port()), Script::new()).await;

    sink.wait_for(1).await;
    fleet.queue_is_empty().await;
    fleet
        .sql_gives("SELECT count(suspended_until) FROM queue.destination", 0)
        .await;
    assert_eq!(sink.messages().len(), 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_to_elsewhere_flows_meanwhile() {
    let down = Script::new().on(Stage::Greeting, Action::Close);
    let (down, up) = (Sink::start(down).await, Sink::start(Script::new()).await);
    let fleet = Fleet::builder()
        .account("alice")
        .smart_host("down.test", down.address())
        .smart_host("up.test", up.address())
        .relay("outbound.suspend_first = \"10m\"")
        .relay("outbound.suspend_longest = \"1h\"")
        .start()
        .await;
    fleet
        .submit(&["jo@down.test", "jo@up.test"], &letter("to both"))
        .await;
    up.wait_for(1).await;
    fleet.sql_gives(READY, 1).await;
    fleet.suspension_is_known("down.test").await;
    fleet
        .submit(&["jo@down.test", "jo@up.test"], &letter("to both again"))
        .await;

    up.wait_for(2).await;
    fleet.sql_gives(READY, 2).await;
    assert_eq!(
        down.connections(),
        1,
        "the second letter waits for the destination"
    );
    fleet
        .execute("SELECT queue.cancel(everything => true)")
        .await;
    fleet.queue_is_empty().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_flushes_need_not_wait_for_the_pause() {
    let down = Script::new().on(Stage::Greeting, Action::Close);
    let sink = Sink::start(down).await;
    let fleet = Fleet::builder()
        .account("alice")
        .smart_host("*", sink.address())
        .relay("outbound.suspend_first = \"1h\"")
        .relay("outbound.suspend_longest = \"1h\"")
        .start()
        .await;
    fleet.submit(&["jo@far.test"], &letter("hurry")).await;
    fleet.sql_gives(READY, 1).await;
    sink.set(Script::new());
    fleet
        .execute("SELECT queue.flush(domain => 'far.test')")
        .await;

    sink.wait_for(1).await;
    fleet.queue_is_empty().await;
    assert_eq!(sink.connections(), 2);
    fleet.end().await;
}
