//! The main job: a mail client submits, the message lies in a mailbox, byte for byte.

use crate::fleet::Fleet;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_submits_lies_in_the_mailbox_with_trace_fields_on_top() {
    let fleet = Fleet::start().await;
    let sent = "From: Alice <alice@example.test>\r\nTo: Bob <bob@example.test>\r\n\
                Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.test>\r\n\
                Subject: first\r\n\r\nHello Bob,\r\n.dots\r\n..more dots\r\n\r\n";
    fleet.submit(&["bob"], sent).await;

    let mail = fleet.first_mail_of("bob").await;
    let trace = mail.text().strip_suffix(sent).map(str::to_owned);
    let trace = trace.unwrap_or_else(|| panic!("not as sent: {}", mail.text()));
    assert!(trace.starts_with("Return-Path: <alice@example.test>\r\nDelivered-To: bob@example.test\r\nReceived: from client.test "), "{trace}");
    let received = mail.fields("Received").remove(0);
    assert!(received.contains("by mail.fleet.test"), "{received}");
    assert!(received.contains("with ESMTPSA"), "{received}");
    assert!(received.contains("for <bob@example.test>"), "{received}");

    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("delivered").await, 1);
    fleet.end().await;
}
