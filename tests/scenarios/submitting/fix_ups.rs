//! What submission adds to a message and takes out of it (RFC 6409 §8); the rest stays as it came.

use crate::fleet::Fleet;

#[tokio::test(flavor = "multi_thread")]
async fn missing_fields_are_added_and_secret_ones_are_taken_out() {
    let fleet = Fleet::start().await;
    let content = "From: alice@example.test\r\n\
                   Bcc: secret@far.test,\r\n\tmore@far.test\r\n\
                   subject:  as   it  came \r\n\
                   bcc: also@far.test\r\n\
                   Return-Path: <forged@far.test>\r\n\
                   X-Last: 1\r\n\r\nBcc: in the body\r\n";
    fleet.submit(&["bob"], content).await;

    let mail = fleet.first_mail_of("bob").await;
    let kept = "From: alice@example.test\r\nsubject:  as   it  came \r\nX-Last: 1\r\n\r\n\
                Bcc: in the body\r\n";
    assert!(mail.text().ends_with(kept), "{}", mail.text());
    assert!(!mail.text().contains("far.test"), "{}", mail.text());
    assert_eq!(mail.fields("Date").len(), 1);
    let message_id = mail.fields("Message-ID").remove(0);
    assert!(message_id.ends_with("@mail.fleet.test>"), "{message_id}");
    assert_eq!(mail.fields("Return-Path"), ["<alice@example.test>"]);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn present_fields_are_left_alone() {
    let fleet = Fleet::start().await;
    let content = "Message-Id: <own@client.test>\r\ndate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\
                   From: alice@example.test\r\n\r\n";
    fleet.submit(&["bob"], content).await;

    let mail = fleet.first_mail_of("bob").await;
    assert!(mail.text().ends_with(content), "{}", mail.text());
    assert_eq!(mail.fields("Message-ID"), ["<own@client.test>"]);
    assert_eq!(mail.fields("Date").len(), 1);
    fleet.end().await;
}
