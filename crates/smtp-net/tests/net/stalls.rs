//! Clients that stop, at whatever point.

use std::time::Duration;

use smtp_net::ListenerTls;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::certificates;
use crate::service::{Options, Service};
use crate::soon;
use crate::told::Told;

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_client_that_says_nothing_is_told_and_left() {
    let options = Options::plain().with_timeouts(|timeouts| timeouts.command = SHORT);
    let service = Service::start(options);
    let mut client = Told::connect(service.address).await;
    client.expect("220").await;
    client.expect("421 4.4.2").await;
    client.expect_end().await;
}

#[tokio::test]
async fn a_client_that_stops_within_content_is_told_and_left() {
    let options = Options::plain().with_timeouts(|timeouts| timeouts.data_block = SHORT);
    let mut service = Service::start(options);
    let mut client = Told::introduced(service.address).await;
    client
        .say("MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n")
        .await;
    for code in ["250", "250", "354"] {
        client.expect(code).await;
    }
    client.say("half a mess").await;
    client.expect("421 4.4.2").await;
    client.expect_end().await;
    assert!(service.has_taken_nothing());
    service.shut_down();
    service.ended().await;
}

#[tokio::test]
async fn a_client_that_does_not_listen_is_left() {
    let options =
        Options::plain().with_timeouts(|timeouts| timeouts.command = Duration::from_secs(1));
    let service = Service::start(options);
    let mut client = Told::introduced(service.address).await;
    let noops = "NOOP\r\n".repeat(10_000);
    // The server stops reading when its replies aren't read, and then closes.
    soon(async { while client.stream.write_all(noops.as_bytes()).await.is_ok() {} }).await;
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let (tls, _) = certificates::fresh();
    let in_starttls = Options::start_tls(&tls).with_timeouts(|timeouts| timeouts.handshake = SHORT);
    let service = Service::start(in_starttls);
    let mut client = Told::introduced(service.address).await;
    client.ask("STARTTLS", "220").await;
    client.expect_end().await;

    let implicit = Options::new(ListenerTls::Implicit(tls))
        .with_timeouts(|timeouts| timeouts.handshake = SHORT);
    let service = Service::start(implicit);
    let mut client = Told::connect(service.address).await;
    client.expect_end().await;
}

#[tokio::test]
async fn a_slow_answer_is_not_held_against_the_client() {
    let patience = Duration::from_secs(1);
    let options = Options::plain()
        .with_timeouts(|timeouts| timeouts.command = patience)
        .with_held_messages();
    let mut service = Service::start(options);
    let mut client = Told::introduced(service.address).await;
    client
        .say("MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n")
        .await;
    for code in ["250", "250", "354"] {
        client.expect(code).await;
    }
    client.say("one\r\n.\r\n").await;
    service.arrived().await;
    // Nothing happens that could be waited for: what counts is that the client's time goes by.
    tokio::time::sleep(patience).await;
    service.let_accept();
    client.expect("250 2.0.0 Taken").await;
    client.ask("NOOP", "250").await;
}

#[tokio::test]
async fn a_message_is_taken_though_its_client_is_gone() {
    let mut service = Service::start(Options::plain().with_held_messages());
    let mut client = Told::introduced(service.address).await;
    client
        .say("MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n")
        .await;
    for code in ["250", "250", "354"] {
        client.expect(code).await;
    }
    client.say("one\r\n.\r\n").await;
    service.arrived().await;
    drop(client);
    service.let_accept();
    assert_eq!(service.taken().await.content, "one\r\n");
}

#[tokio::test]
async fn half_a_message_is_none() {
    let mut service = Service::start(Options::plain());
    let mut client = Told::introduced(service.address).await;
    client
        .say("MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n")
        .await;
    for code in ["250", "250", "354"] {
        client.expect(code).await;
    }
    client.say("half a message\r\n.").await;
    soon(client.stream.shutdown()).await.unwrap();
    let mut rest = Vec::new();
    soon(client.stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
    assert!(service.has_taken_nothing());
}
