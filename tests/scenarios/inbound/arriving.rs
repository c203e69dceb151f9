//! Mail for our own users comes in, in plain or in TLS.

use testkit::SmtpTalk;

use crate::fleet::{Fleet, letter};

#[tokio::test(flavor = "multi_thread")]
async fn mail_from_another_server_lies_in_the_mailbox_byte_for_byte() {
    let fleet = Fleet::start().await;
    let mut content = letter("from afar");
    content.push_str("..\r\n. \r\n.hidden\r\n");
    let answer = fleet
        .inject("jo@far.test", &["bob@example.test"], &content)
        .await;
    assert_eq!(answer.code, 250, "{}", answer.text());

    let mail = fleet.first_mail_of("bob").await;
    assert!(
        mail.text().ends_with(&format!("\r\n{content}")),
        "{}",
        mail.text()
    );
    assert_eq!(
        mail.field_names(),
        ["Return-Path", "Delivered-To", "Received", "From", "Subject"]
    );
    assert_eq!(mail.fields("Return-Path"), ["<jo@far.test>"]);
    let received = mail.fields("Received").remove(0);
    for part in [
        "from client.test",
        "[127.0.0.1]",
        "by mx1.fleet.test",
        "with ESMTP ",
        "id ",
    ] {
        assert!(received.contains(part), "{part} is not in {received}");
    }
    fleet.queue_is_empty().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_offered_and_told_in_the_trace_field() {
    let fleet = Fleet::start().await;
    let mut talk = SmtpTalk::hello(fleet.relay_address())
        .await
        .starttls()
        .await;
    talk.command("EHLO client.test", 250).await;
    let recipients = ["bob@example.test", "alice@example.test"];
    let answer = talk.send_message("", &recipients, &letter("sealed")).await;
    assert_eq!(answer.code, 250, "{}", answer.text());

    for name in ["bob", "alice"] {
        let mail = fleet.first_mail_of(name).await;
        assert_eq!(mail.fields("Return-Path"), ["<>"]);
        let received = mail.fields("Received").remove(0);
        assert!(received.contains("with ESMTPS"), "{received}");
        assert!(
            !received.contains(" for "),
            "nobody learns of the others: {received}"
        );
    }
    fleet.queue_is_empty().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_extensions_is_served() {
    let fleet = Fleet::start().await;
    let mut talk = SmtpTalk::connect(fleet.relay_address()).await;
    talk.expect(220).await;
    talk.command("HELO client.test", 250).await;
    let answer = talk
        .send_message("jo@far.test", &["bob@example.test"], &letter("plain"))
        .await;
    assert_eq!(answer.code, 250, "{}", answer.text());

    let received = fleet
        .first_mail_of("bob")
        .await
        .fields("Received")
        .remove(0);
    assert!(received.contains("with SMTP "), "{received}");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_named_twice_gets_one_copy() {
    let fleet = Fleet::start().await;
    let recipients = ["bob@example.test", "bob@example.test"];
    fleet
        .inject("jo@far.test", &recipients, &letter("once"))
        .await;

    fleet.first_mail_of("bob").await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.mail_now("bob").len(), 1);
    assert_eq!(fleet.recipients("accepted").await, 1);
    fleet.end().await;
}
