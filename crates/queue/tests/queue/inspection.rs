//! `inspect`: what is told of a database and of its fleet.

use std::time::Duration;

use queue::{
    ConnectError, DatabaseConfig, Heart, HeartConfig, Queue, Registration, RelayLife, inspect,
};

fn registration(node: &str) -> Registration {
    Registration {
        address: "127.0.0.1:1".to_owned(),
        node: node.to_owned(),
        version: "0.1.0".to_owned(),
    }
}

#[tokio::test]
async fn a_server_is_known_before_there_is_a_schema() {
    let database = testkit::database().await;
    let inspection = inspect(database.url()).await.unwrap();
    assert!(inspection.schema.is_none() && inspection.relays.is_empty());
    let server = inspection.server;
    assert!(server.version_number >= 130_000, "{server:?}");
    assert!(
        server
            .version
            .starts_with(&(server.version_number / 10_000).to_string())
    );
    assert!(
        server.connections >= 1 && server.max_connections >= 10,
        "{server:?}"
    );
    assert!(!server.in_recovery && server.replicas == 0, "{server:?}");
    let ahead = inspection.clock.ahead.abs();
    assert!(
        ahead <= inspection.clock.uncertainty + time::Duration::seconds(1),
        "{ahead}"
    );
}

#[tokio::test]
async fn hearts_that_beat_are_told_from_those_that_stand_still() {
    let database = testkit::database().await;
    queue::migrate(database.url()).await.unwrap();
    let queue = Queue::connect(&DatabaseConfig::new(database.url()))
        .await
        .unwrap();
    let beating = queue.register(&registration("a")).await.unwrap();
    let progress = queue::Progress::default();
    let heart = Heart::start(&queue, beating, HeartConfig::default(), progress.clone());
    let still = queue.register(&registration("b")).await.unwrap();
    let ended = queue.register(&registration("c")).await.unwrap();
    queue.end_incarnation(ended).await.unwrap();
    let alive = tokio::spawn(async move {
        loop {
            progress.note();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });

    let inspection = inspect(database.url()).await.unwrap();
    let lives: Vec<_> = inspection
        .relays
        .iter()
        .map(|relay| (relay.incarnation, relay.node.as_str(), relay.life))
        .collect();
    assert_eq!(
        lives,
        [
            (beating.0, "a", RelayLife::Beating),
            (still.0, "b", RelayLife::StandsStill)
        ]
    );
    let schema = inspection.schema.unwrap();
    assert!(
        schema.version >= schema.needed && schema.serves_from <= schema.program,
        "{schema:?}"
    );
    alive.abort();
    drop(heart);
}

#[tokio::test]
async fn nobody_there_is_told_in_time() {
    let port = testkit::free_port();
    let url = format!("postgres://chasqui@127.0.0.1:{port}/chasqui");
    let error = inspect(&url).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error:?}");
}
