//! Postfix hands mail for our domain to us, as any server on the internet does.

use super::as_sent::trace_on_top_of;
use super::postfix::{POSTFIX_HOST, Postfix};
use super::present::{Peer, present};
use super::python::understand;
use super::swaks::swaks;
use crate::fleet::Fleet;

const MESSAGE: &str = "From: Joe <joe@postfix.test>\r\nTo: Bob <bob@example.test>\r\n\
    Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@postfix.test>\r\nSubject: from afar\r\n\
    MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
    Grüße aus der Ferne.\r\n.a dot\r\n..two dots\r\n.\r\ntrailing blanks  \t\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn mail_comes_over_tls_where_we_offer_it() {
    if !present(&[Peer::Postfix, Peer::Swaks]) {
        return;
    }
    let fleet = Fleet::start().await;
    let postfix = Postfix::start(Some(fleet.relay_address())).await;
    inject(&postfix, "bob@example.test").await;

    let mail = fleet.first_mail_of("bob").await;
    let trace = trace_on_top_of(MESSAGE.as_bytes(), &mail);
    assert!(
        trace.starts_with("Return-Path: <joe@postfix.test>\r\nDelivered-To: bob@example.test\r\n"),
        "{trace}"
    );
    let [ours, theirs] = &mail.fields("Received")[..] else {
        panic!("{trace}");
    };
    assert!(ours.starts_with(&format!("from {POSTFIX_HOST} ")), "{ours}");
    assert!(ours.contains("with ESMTPS"), "{ours}");
    assert!(ours.contains("for <bob@example.test>"), "{ours}");
    assert!(theirs.contains("(Postfix)"), "{theirs}");
    postfix
        .wait_for_log("TLS connection established to 127.0.0.1")
        .await;
    postfix.wait_for_log("status=sent (250 2.0.0").await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_comes_in_clear_where_we_offer_no_tls() {
    if !present(&[Peer::Postfix, Peer::Swaks]) {
        return;
    }
    let builder = Fleet::builder().account("bob");
    let builder = builder
        .relay(r#"listen = [{ address = "127.0.0.1:0", tls = "none", drain_deadline = "2s" }]"#);
    let fleet = builder.start().await;
    let postfix = Postfix::start(Some(fleet.relay_address())).await;
    inject(&postfix, "bob@example.test").await;

    let mail = fleet.first_mail_of("bob").await;
    trace_on_top_of(MESSAGE.as_bytes(), &mail);
    let received = mail.fields("Received").remove(0);
    assert!(received.contains("with ESMTP id"), "{received}");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postfix_tells_the_sender_whom_we_refused() {
    if !present(&[Peer::Postfix, Peer::Swaks, Peer::Python]) {
        return;
    }
    let fleet = Fleet::start().await;
    let postfix = Postfix::start(Some(fleet.relay_address())).await;
    inject(&postfix, "bob@example.test,nobody@example.test").await;

    let mail = fleet.first_mail_of("bob").await;
    trace_on_top_of(MESSAGE.as_bytes(), &mail);
    let report = postfix.first_mail_of("joe").await;
    let report = understand(&report.bytes).await;
    let [recipient] = &report["recipients"].as_array().unwrap()[..] else {
        panic!("only one was refused: {report:#}");
    };
    assert_eq!(recipient["final-recipient"], "rfc822; nobody@example.test");
    assert_eq!(recipient["status"], "5.1.1");
    assert_eq!(fleet.recipients("accepted").await, 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postfix_may_not_relay_through_us() {
    if !present(&[Peer::Postfix, Peer::Swaks]) {
        return;
    }
    let fleet = Fleet::start().await;
    let postfix = Postfix::start(Some(fleet.relay_address())).await;
    inject(&postfix, "someone@elsewhere.test").await;

    postfix.wait_for_log("dsn=5.7.1, status=bounced").await;
    assert_eq!(fleet.recipients("accepted").await, 0);
    fleet.end().await;
}

/// Gives the message to Postfix, as `joe`.
async fn inject(postfix: &Postfix, to: &str) {
    swaks(
        postfix.address(),
        &["--from", "joe@postfix.test", "--to", to],
        MESSAGE,
    )
    .await
    .well();
}
