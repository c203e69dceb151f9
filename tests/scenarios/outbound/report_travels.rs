//! A notification to a sender elsewhere is mail like any other.

use testkit::{Script, Sink};

use crate::fleet::{Fleet, letter};

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_elsewhere_gets_the_report_from_the_null_reverse_path() {
    let refusal = Script::new().recipient("no@refusing.test", "550 5.7.1 Go away");
    let (refusing, home) = (Sink::start(refusal).await, Sink::start(Script::new()).await);
    let fleet = Fleet::builder()
        .relay("inbound.relay_networks = [\"127.0.0.0/8\"]")
        .smart_host("refusing.test", refusing.address())
        .smart_host("home.test", home.address())
        .start()
        .await;
    let content = letter("turned down") + "Grüße\r\n";
    let answer = fleet
        .inject("jo@home.test", &["no@refusing.test"], &content)
        .await;
    assert_eq!(answer.code, 250, "{}", answer.text());

    let report = home.wait_for(1).await.remove(0);
    assert_eq!(report.reverse_path, "");
    assert_eq!(report.recipients, ["jo@home.test"]);
    assert!(report.content.is_ascii(), "a report passes anywhere");
    for words in [
        "Content-Type: multipart/report",
        "Auto-Submitted: auto-replied",
        "To: <jo@home.test>",
        "Final-Recipient: rfc822; no@refusing.test",
        "550 5.7.1 Go away",
        "Subject: turned down",
    ] {
        assert!(
            report.text().contains(words),
            "{words} is not in {}",
            report.text()
        );
    }
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("accepted").await, 2);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_goes_after_acceptance_is_reported() {
    let home = Sink::start(Script::new()).await;
    let mut fleet = Fleet::builder()
        .account("bob")
        .smart_host("home.test", home.address())
        .start()
        .await;
    let mut talk = fleet.talk().await;
    talk.command("MAIL FROM:<jo@home.test>", 250).await;
    talk.command("RCPT TO:<bob@example.test>", 250).await;
    fleet.stop_delivery(0).await;
    talk.command("DATA", 354).await;
    let answer = crate::fleet::end_data(&mut talk, &letter("too late")).await;
    assert_eq!(answer.code, 250, "{}", answer.text());
    let bob = "bob@example.test".parse().unwrap();
    fleet.directory.set_disabled(&bob, true).await.unwrap();
    fleet.restart_delivery(0).await;

    let report = home.wait_for(1).await.remove(0);
    assert_eq!(report.recipients, ["jo@home.test"]);
    assert!(report.text().contains("Status: 5.2.1"), "{}", report.text());
    fleet.queue_is_empty().await;
    assert!(fleet.mail_now("bob").is_empty());
    fleet.end().await;
}
