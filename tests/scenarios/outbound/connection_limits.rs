//! Connections are kept for the next message, and are as few as the configuration says.

use std::time::Duration;

use testkit::{Action, Script, Sink, Stage};

use crate::fleet::{Fleet, letter, submit_over};

const MESSAGES: usize = 30;

async fn submit_many(fleet: &Fleet) {
    let mut client = fleet.mail_client("alice").await;
    for number in 0..MESSAGES {
        let content = letter(&format!("number {number}"));
        submit_over(&mut client, &["jo@far.test"], &content).await;
    }
    client.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_take_few_connections() {
    let sink = Sink::start(Script::new()).await;
    let fleet = Fleet::builder()
        .account("alice")
        .smart_host("*", sink.address())
        .relay("outbound.connections_per_destination = 2")
        .relay("outbound.idle = \"30s\"")
        .start()
        .await;
    submit_many(&fleet).await;

    sink.wait_for(MESSAGES).await;
    fleet.queue_is_empty().await;
    assert!(
        sink.connections() <= 2,
        "{} connections",
        sink.connections()
    );
    assert_eq!(sink.complaints(), Vec::<String>::new());
    fleet.end().await;
    assert_eq!(sink.open_connections(), 0, "none is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_left_after_as_many_messages_as_it_may_carry() {
    let sink = Sink::start(Script::new()).await;
    let fleet = Fleet::builder()
        .account("alice")
        .smart_host("*", sink.address())
        .relay("outbound.connections_per_destination = 1")
        .relay("outbound.messages_per_connection = 10")
        .relay("outbound.idle = \"30s\"")
        .start()
        .await;
    submit_many(&fleet).await;

    let messages = sink.wait_for(MESSAGES).await;
    fleet.queue_is_empty().await;
    assert_eq!(sink.connections(), 3);
    let on_the_first = messages.iter().filter(|message| message.connection == 1);
    assert_eq!(on_the_first.count(), 10);
    assert!(sink.commands(1).iter().any(|line| line == "QUIT"));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_turns_further_connections_away_gets_all_mail_over_those_it_takes() {
    let too_many = Action::reply_and_close("421 4.7.0 Too many connections");
    let script = Script::new()
        .on(Stage::Dot, Action::Delay(Duration::from_millis(20)))
        .first(1, Stage::Greeting, Action::Delay(Duration::ZERO))
        .on(Stage::Greeting, too_many);
    let sink = Sink::start(script).await;
    let fleet = Fleet::builder()
        .account("alice")
        .smart_host("*", sink.address())
        .relay("outbound.connections_per_destination = 4")
        .relay("outbound.idle = \"30s\"")
        .start()
        .await;
    submit_many(&fleet).await;

    sink.wait_for(MESSAGES).await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.attempts("deferred").await, 0, "the host isn't down");
    assert!(
        sink.connections() <= 4,
        "{} connections",
        sink.connections()
    );
    assert_eq!(fleet.sql("SELECT count(*) FROM queue.destination").await, 0);
    fleet.end().await;
}
