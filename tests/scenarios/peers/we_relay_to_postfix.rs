//! Our mail for others goes to a Postfix.

use serde_json::{Value, json};
use testkit::Zone;

use super::as_sent::trace_on_top_of;
use super::postfix::{POSTFIX_DOMAIN, POSTFIX_HOST, Postfix};
use super::present::{Peer, present};
use super::python::understand;
use crate::fleet::{Fleet, Mail};

const MESSAGE: &str = "From: Alice <alice@example.test>\r\nTo: Joe <joe@postfix.test>\r\n\
    Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.test>\r\nSubject: to afar\r\n\
    MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
    Grüße in die Ferne.\r\n.a dot\r\n..two dots\r\n.\r\ntrailing blanks  \t\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn by_a_route_to_a_smart_host() {
    if !present(&[Peer::Postfix]) {
        return;
    }
    let postfix = Postfix::start(None).await;
    let fleet = Fleet::builder()
        .account("alice")
        .smart_host(POSTFIX_DOMAIN, postfix.address())
        .start()
        .await;
    fleet
        .submit(&["joe@postfix.test", "ann@postfix.test"], MESSAGE)
        .await;

    assert_arrived(&postfix.first_mail_of("joe").await);
    assert_arrived(&postfix.first_mail_of("ann").await);
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("delivered").await, 2);
    let transactions = postfix
        .log()
        .matches("from=<alice@example.test>, size=")
        .count();
    assert_eq!(transactions, 1, "both recipients go in one transaction");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_mail_exchanger_that_the_dns_names() {
    if !present(&[Peer::Postfix]) {
        return;
    }
    let postfix = Postfix::start(None).await;
    let zone = Zone::new()
        .mx(POSTFIX_DOMAIN, 10, POSTFIX_HOST)
        .host(POSTFIX_HOST, postfix.address().ip());
    let dns = zone.serve().await;
    let port = format!("outbound.port = {}", postfix.address().port());
    let fleet = Fleet::builder()
        .account("alice")
        .dns(&dns)
        .relay(&port)
        .start()
        .await;
    fleet.submit(&["joe@postfix.test"], MESSAGE).await;

    assert_arrived(&postfix.first_mail_of("joe").await);
    fleet.queue_is_empty().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_postfix_refuses_is_reported_to_the_sender() {
    if !present(&[Peer::Postfix, Peer::Python]) {
        return;
    }
    let postfix = Postfix::start(None).await;
    let fleet = Fleet::builder()
        .account("alice")
        .smart_host(POSTFIX_DOMAIN, postfix.address())
        .start()
        .await;
    fleet
        .submit(&["joe@postfix.test", "nobody@postfix.test"], MESSAGE)
        .await;

    assert_arrived(&postfix.first_mail_of("joe").await);
    let report = fleet.first_mail_of("alice").await;
    assert_is_understood(&understand(&report.bytes).await);
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("failed").await, 1);
    fleet.end().await;
}

/// What Python made of the report (RFC 3462, RFC 3464): who, why, and which message.
#[track_caller]
fn assert_is_understood(report: &Value) {
    assert_eq!(report["defects"], json!([]));
    assert_eq!(report["type"], "multipart/report");
    assert_eq!(report["report_type"], "delivery-status");
    assert_eq!(
        report["parts"],
        json!([
            "text/plain",
            "message/delivery-status",
            "text/rfc822-headers"
        ])
    );

    let header = &report["header"];
    assert_eq!(header["return-path"], "<>");
    assert_eq!(header["to"], "alice@example.test");
    assert_eq!(header["in-reply-to"], "<1@example.test>");
    assert_eq!(header["auto-submitted"], "auto-replied");
    assert_eq!(report["message"]["reporting-mta"], "dns; mx1.fleet.test");

    let [recipient] = &report["recipients"].as_array().unwrap()[..] else {
        panic!("only one was refused: {report:#}");
    };
    assert_eq!(recipient["final-recipient"], "rfc822; nobody@postfix.test");
    assert_eq!(recipient["action"], "failed");
    assert_eq!(recipient["status"], "5.1.1");
    assert_eq!(recipient["remote-mta"], "dns; [127.0.0.2]");
    let said = "550 5.1.1 <nobody@postfix.test>: Recipient address rejected: User unknown in virtual mailbox table";
    assert_eq!(recipient["diagnostic-code"], format!("smtp; {said}"));

    let explanation = report["explanation"].as_str().unwrap();
    assert!(
        explanation.contains("<nobody@postfix.test>"),
        "{explanation}"
    );
    let original = report["original"].as_str().unwrap();
    assert!(
        original.contains("Message-ID: <1@example.test>"),
        "{original}"
    );
    assert!(
        !original.contains("Ferne"),
        "the body stays at home: {original}"
    );
}

/// The message is as it was sent, and has come over TLS, in one breath with its body as it is.
#[track_caller]
fn assert_arrived(mail: &Mail) {
    let trace = trace_on_top_of(MESSAGE.as_bytes(), mail);
    assert!(
        trace.starts_with("Return-Path: <alice@example.test>\r\n"),
        "{trace}"
    );
    let [theirs, ours] = &mail.fields("Received")[..] else {
        panic!("{trace}");
    };
    assert!(theirs.starts_with("from mx1.fleet.test "), "{theirs}");
    assert!(theirs.contains("with ESMTPS"), "{theirs}");
    assert!(theirs.contains("TLSv1.3"), "{theirs}");
    assert!(ours.contains("by mail.fleet.test"), "{ours}");
}
