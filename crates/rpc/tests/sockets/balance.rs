//! Deadlines, reconnecting, several instances.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rpc::directory::DirectoryClient;
use rpc::{ChannelConfig, RpcError, Target};
use tokio::net::TcpListener;

use crate::running::{ANYWHERE, Running, TestDirectory, channel_to, within};

fn counting() -> (TestDirectory, Arc<AtomicUsize>) {
    let directory = TestDirectory::default();
    let calls = directory.calls.clone();
    (directory, calls)
}

/// A call that is not answered from memory.
async fn ask(client: &DirectoryClient) -> Result<(), RpcError> {
    client.postmaster().await.map(drop)
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_no_more_than_the_deadline() {
    let directory = TestDirectory {
        is_stalled: true,
        ..TestDirectory::default()
    };
    let slow = Running::plain(ANYWHERE, directory.service()).await;
    // Takes connections, and never says a word.
    let mute = TcpListener::bind(ANYWHERE).await.unwrap();
    for address in [slow.address, mute.local_addr().unwrap()] {
        let config = ChannelConfig {
            deadline: Duration::from_millis(200),
            ..channel_to(&[address])
        };
        let client = DirectoryClient::new(&config).unwrap();
        let error = within(ask(&client)).await.unwrap_err();
        assert!(matches!(error, RpcError::Deadline { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told() {
    let targets = vec![Target::new("no-such-host.invalid", 1)];
    let config = ChannelConfig::plain(targets, Duration::from_millis(300));
    let error = ask(&DirectoryClient::new(&config).unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, RpcError::Unresolved { .. }), "{error}");
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let server = Running::plain(ANYWHERE, TestDirectory::default().service()).await;
    let address = server.address;
    let client = DirectoryClient::new(&server.channel()).unwrap();
    ask(&client).await.unwrap();
    server.stop().await;
    let error = ask(&client).await.unwrap_err();
    assert!(matches!(error, RpcError::Unreachable { .. }), "{error}");
    let _server = Running::plain(&address.to_string(), TestDirectory::default().service()).await;
    ask(&client).await.unwrap();
}

#[tokio::test]
async fn calls_go_to_all_instances_in_turn() {
    let ((first, first_calls), (second, second_calls)) = (counting(), counting());
    let first = Running::plain(ANYWHERE, first.service()).await;
    let second = Running::plain(ANYWHERE, second.service()).await;
    let client = DirectoryClient::new(&channel_to(&[first.address, second.address])).unwrap();
    for _ in 0..20 {
        ask(&client).await.unwrap();
    }
    assert_eq!(first_calls.load(Ordering::Relaxed), 10);
    assert_eq!(second_calls.load(Ordering::Relaxed), 10);
}

#[tokio::test]
async fn an_instance_that_dies_fails_no_call() {
    let ((first, first_calls), (second, second_calls)) = (counting(), counting());
    let first = Running::plain(ANYWHERE, first.service()).await;
    let second = Running::plain(ANYWHERE, second.service()).await;
    let dead: SocketAddr = first.address;
    let client = DirectoryClient::new(&channel_to(&[dead, second.address])).unwrap();
    for _ in 0..10 {
        ask(&client).await.unwrap();
    }
    first.stop().await;
    for _ in 0..50 {
        ask(&client).await.unwrap();
    }
    assert_eq!(first_calls.load(Ordering::Relaxed), 5);
    assert_eq!(second_calls.load(Ordering::Relaxed), 55);

    let (revived, revived_calls) = counting();
    let _revived = Running::plain(&dead.to_string(), revived.service()).await;
    within(async {
        while revived_calls.load(Ordering::Relaxed) == 0 {
            ask(&client).await.unwrap();
        }
    })
    .await;
}
