//! Postfix's load generator pours messages in; each arrives exactly once.

use std::collections::HashSet;
use std::net::SocketAddr;

use tokio::process::Command;

use super::postfix::{POSTFIX_DOMAIN, Postfix};
use super::present::{Peer, find, present};
use super::program::run;
use crate::fleet::{Fleet, Mail};

const MESSAGES: usize = 300;
const SESSIONS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn over_connections_that_are_used_again() {
    if !present(&[Peer::SmtpSource]) {
        return;
    }
    let fleet = Fleet::start().await;
    // -d: don't disconnect after a message.
    flood(fleet.relay_address(), "bob@example.test", &["-d"]).await;

    fleet.queue_is_empty().await;
    assert_each_once(&fleet.mail_now("bob"));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_new_connection_for_each_message() {
    if !present(&[Peer::SmtpSource]) {
        return;
    }
    let fleet = Fleet::start().await;
    flood(fleet.relay_address(), "bob@example.test", &[]).await;

    fleet.queue_is_empty().await;
    assert_each_once(&fleet.mail_now("bob"));
    assert_eq!(fleet.recipients("delivered").await, MESSAGES as i64);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_lmtp_to_delivery() {
    if !present(&[Peer::SmtpSource]) {
        return;
    }
    let fleet = Fleet::start().await;
    flood(fleet.lmtp_address(), "bob@example.test", &["-L", "-d"]).await;

    // Nothing is queued: an answer comes after the mail.
    assert_each_once(&fleet.mail_now("bob"));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn through_postfix_to_us() {
    if !present(&[Peer::Postfix, Peer::SmtpSource]) {
        return;
    }
    let fleet = Fleet::start().await;
    let postfix = Postfix::start(Some(fleet.relay_address())).await;
    flood(postfix.address(), "bob@example.test", &["-d"]).await;

    fleet.mail_of("bob", MESSAGES).await;
    fleet.queue_is_empty().await;
    assert_each_once(&fleet.mail_now("bob"));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn through_us_to_postfix() {
    if !present(&[Peer::Postfix, Peer::SmtpSource]) {
        return;
    }
    let postfix = Postfix::start(None).await;
    let builder = Fleet::builder().smart_host(POSTFIX_DOMAIN, postfix.address());
    let builder = builder.relay(r#"inbound.relay_networks = ["127.0.0.1/32"]"#);
    let fleet = builder.start().await;
    flood(
        fleet.relay_address(),
        &format!("joe@{POSTFIX_DOMAIN}"),
        &["-d"],
    )
    .await;

    fleet.queue_is_empty().await;
    assert_each_once(&postfix.mail_of("joe", MESSAGES).await);
    assert_eq!(fleet.attempts("deferred").await, 0);
    fleet.end().await;
}

async fn flood(server: SocketAddr, to: &str, way: &[&str]) {
    let mut source = Command::new(find("smtp-source").unwrap());
    source
        .args(["-4", "-M", "source.test", "-S", "flood", "-l", "2000"])
        .args(["-m", &MESSAGES.to_string(), "-s", &SESSIONS.to_string()])
        .args(["-f", "jo@far.test", "-t", to])
        .args(way)
        .arg(format!("inet:{server}"));
    run(&mut source, b"").await.well();
}

/// smtp-source gives each message an id of its own.
#[track_caller]
fn assert_each_once(mails: &[Mail]) {
    let ids: HashSet<String> = mails
        .iter()
        .map(|mail| mail.fields("Message-Id").concat())
        .collect();
    assert!(!ids.contains(""), "a message without an id");
    assert_eq!(
        (mails.len(), ids.len()),
        (MESSAGES, MESSAGES),
        "messages, and how many of them differ"
    );
}
