//! Databases for tests are real, apart from each other, and durable.
#![allow(clippy::unwrap_used)]

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use testkit::Proxy;

async fn setting(connection: &mut PgConnection, name: &str) -> String {
    let sql = AssertSqlSafe(format!("SHOW {name}"));
    let row = sqlx::query(sql).fetch_one(connection).await.unwrap();
    row.get(0)
}

async fn count_notes(connection: &mut PgConnection) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM note");
    count.fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn each_test_has_a_database_to_itself() {
    let (one, other) = tokio::join!(testkit::database(), testkit::database());
    let make = "CREATE TABLE only_here ()";
    sqlx::query(make)
        .execute(&mut one.connect().await)
        .await
        .unwrap();
    let made_again = sqlx::query(make).execute(&mut other.connect().await).await;
    assert!(made_again.is_ok());
}

#[tokio::test]
async fn the_server_is_as_durable_as_in_production() {
    let database = testkit::database().await;
    let mut connection = database.connect().await;
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert_eq!(setting(&mut connection, name).await, "on", "{name}");
    }
    assert_eq!(
        setting(&mut connection, "listen_addresses").await,
        "127.0.0.1"
    );
}

#[tokio::test]
async fn nobody_gets_in_without_the_password() {
    let database = testkit::database().await;
    let (_, at_host) = database.url().split_once('@').unwrap();
    let refused = PgConnection::connect(&format!("postgres://chasqui:guess@{at_host}")).await;
    let code = refused.unwrap_err().into_database_error().unwrap();
    assert_eq!(code.code().unwrap(), "28P01");
}

#[tokio::test]
async fn what_was_committed_survives_stops_and_kills() {
    let server = testkit::postgres().await;
    let database = server.database().await;
    let mut connection = database.connect().await;
    let make = "CREATE TABLE note AS SELECT 1 AS number";
    sqlx::query(make).execute(&mut connection).await.unwrap();

    server.kill().await;
    assert!(connection.ping().await.is_err(), "the session is gone");
    assert!(PgConnection::connect(database.url()).await.is_err());
    server.start().await;
    assert_eq!(count_notes(&mut database.connect().await).await, 1);

    server.stop().await;
    assert!(PgConnection::connect(database.url()).await.is_err());
    server.start().await;
    assert_eq!(count_notes(&mut database.connect().await).await, 1);
}

#[tokio::test]
async fn a_proxy_can_cut_the_way_to_the_server() {
    let database = testkit::database().await;
    let proxy = Proxy::to(database.server()).await;
    let through = database.url_through(&proxy);
    let mut connection = PgConnection::connect(&through).await.unwrap();
    connection.ping().await.unwrap();
    proxy.cut();
    assert!(connection.ping().await.is_err());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_frozen_server_keeps_its_sessions_silent_until_it_thaws() {
    let server = testkit::postgres().await;
    let mut connection = server.database().await.connect().await;
    server.freeze();
    let mut answer = Box::pin(connection.ping());
    let patience = std::time::Duration::from_millis(200);
    assert!(tokio::time::timeout(patience, &mut answer).await.is_err());
    server.thaw();
    answer.await.unwrap();
}
