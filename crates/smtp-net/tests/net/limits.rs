//! Limits on connections and memory.

use std::time::Duration;

use smtp_net::Budget;
use tokio::net::TcpStream;

use crate::service::{Options, Service};
use crate::soon;
use crate::told::Told;

async fn send(client: &mut Told<TcpStream>, content: &str, reply: &str) {
    client
        .say("MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n")
        .await;
    for code in ["250", "250", "354"] {
        client.expect(code).await;
    }
    client.say(content).await;
    client.say(".\r\n").await;
    client.expect(reply).await;
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    let mut options = Options::plain();
    options.listener.max_connections_per_address = 2;
    let service = Service::start(options);
    let mut first = Told::introduced(service.address).await;
    let _second = Told::introduced(service.address).await;
    let mut third = Told::connect(service.address).await;
    third.expect("421 4.7.0").await;
    third.expect_end().await;
    first.ask("QUIT", "221").await;
    drop(first);
    // The place is free as soon as the server has seen the end.
    loop {
        let mut next = Told::connect(service.address).await;
        if next.reply().await.starts_with("220") {
            break;
        }
    }
}

#[tokio::test]
async fn a_listener_has_so_many_connections_and_no_more() {
    let mut options = Options::plain();
    options.listener.max_connections = 1;
    let service = Service::start(options);
    let _first = Told::introduced(service.address).await;
    let mut second = Told::connect(service.address).await;
    second.expect("421 4.3.2").await;
    second.expect_end().await;
}

#[tokio::test]
async fn a_message_without_memory_is_refused_and_the_next_is_taken() {
    let mut options = Options::plain();
    options.budget = Budget::new(100_000, 100_000).with_growth_wait(Duration::from_millis(10));
    let mut service = Service::start(options);
    let mut client = Told::introduced(service.address).await;
    send(&mut client, &"x\r\n".repeat(50_000), "452 4.3.1").await;
    assert_eq!(service.budget.available(), service.budget.total());
    send(&mut client, "small\r\n", "250").await;
    assert_eq!(service.taken().await.content, "small\r\n");
    assert!(service.has_taken_nothing());
}

#[tokio::test]
async fn memory_that_others_hold_is_waited_for() {
    let mut options = Options::plain();
    options.budget = Budget::new(100_000, 100_000).with_growth_wait(Duration::from_secs(60));
    let mut service = Service::start(options);
    let held = service.budget.reserve(99_999).await.unwrap();
    let mut client = Told::introduced(service.address).await;
    let sending = send(&mut client, "small\r\n", "250");
    // Who waits for memory first takes what little there is.
    let budget = service.budget.clone();
    let giving_back = async {
        while budget.available() > 0 {
            tokio::task::yield_now().await;
        }
        drop(held);
    };
    soon(async { tokio::join!(sending, giving_back) }).await;
    assert_eq!(service.taken().await.content, "small\r\n");
}
