//! Shutting down: what has begun is finished, what hasn't is told.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::service::{Options, Service};
use crate::soon;
use crate::told::Told;

async fn within_data(service: &Service) -> Told<TcpStream> {
    let mut client = Told::introduced(service.address).await;
    client
        .say("MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n")
        .await;
    for code in ["250", "250", "354"] {
        client.expect(code).await;
    }
    client
}

#[tokio::test]
async fn a_message_under_way_is_finished_and_an_idle_client_is_told() {
    let mut service = Service::start(Options::plain());
    let mut busy = within_data(&service).await;
    let mut idle = Told::introduced(service.address).await;
    service.shut_down();
    idle.expect("421 4.3.2").await;
    idle.expect_end().await;
    assert!(soon(TcpStream::connect(service.address)).await.is_err());
    assert!(service.is_serving());
    busy.say("one\r\n.\r\n").await;
    busy.expect("250").await;
    busy.expect("421 4.3.2").await;
    busy.expect_end().await;
    assert_eq!(service.taken().await.content, "one\r\n");
    drop((busy, idle));
    service.ended().await;
}

#[tokio::test]
async fn a_client_that_never_finishes_is_cut() {
    let options = Options::plain().with_drain_deadline(Duration::from_millis(10));
    let mut service = Service::start(options);
    let mut client = within_data(&service).await;
    service.shut_down();
    client.expect_end().await;
    assert!(service.has_taken_nothing());
    service.ended().await;
}

#[tokio::test]
async fn a_message_being_taken_is_waited_for_beyond_the_deadline() {
    let options = Options::plain()
        .with_drain_deadline(Duration::from_millis(10))
        .with_held_messages();
    let mut service = Service::start(options);
    let mut waiting = within_data(&service).await;
    waiting.say("one\r\n.\r\n").await;
    service.arrived().await;
    let mut stalled = within_data(&service).await;
    service.shut_down();
    // This one is cut by the deadline, so the deadline is over.
    stalled.expect_end().await;
    assert!(service.is_serving());
    service.let_accept();
    waiting.expect("250").await;
    assert_eq!(service.taken().await.content, "one\r\n");
    drop(waiting);
    service.ended().await;
}
