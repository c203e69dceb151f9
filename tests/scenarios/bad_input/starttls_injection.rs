//! Plain text sent along with STARTTLS is dropped, and so is all that was said before (RFC 3207 §4.2).

use testkit::SmtpTalk;

use crate::fleet::{Fleet, letter};

#[tokio::test(flavor = "multi_thread")]
async fn commands_behind_starttls_are_never_answered() {
    let fleet = Fleet::start().await;
    for address in [fleet.relay_address(), fleet.submission_address()] {
        let mut talk = SmtpTalk::hello(address).await;
        talk.send(b"STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<evil@far.test>\r\nRCPT TO:<bob@example.test>\r\n")
            .await;
        talk.expect(220).await;
        let mut talk = talk.handshake().await;
        let hello = talk.command("EHLO client.test", 250).await;
        assert!(!hello.text().contains("STARTTLS"), "{}", hello.text());
        talk.command("RCPT TO:<bob@example.test>", 503).await;
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_does_not_survive_starttls() {
    let fleet = Fleet::start().await;
    let mut talk = fleet.talk().await;
    talk.command("MAIL FROM:<evil@far.test>", 250).await;
    talk.command("RCPT TO:<bob@example.test>", 250).await;
    let answer = talk.ask("STARTTLS").await;
    if answer.code == 220 {
        talk = talk.handshake().await;
        talk.command("MAIL FROM:<jo@far.test>", 503).await;
        talk.command("EHLO client.test", 250).await;
        talk.command("DATA", 503).await;
    } else {
        assert_eq!(answer.code, 503, "{}", answer.text());
        talk.command("RSET", 250).await;
    }
    let sent = talk
        .send_message("jo@far.test", &["bob@example.test"], &letter("clean"))
        .await;
    assert_eq!(sent.code, 250);

    let mail = fleet.first_mail_of("bob").await;
    assert_eq!(mail.fields("Return-Path"), ["<jo@far.test>"]);
    fleet.end().await;
}
