//! Every domain has a postmaster and an abuse desk (RFC 5321 §4.5.1, RFC 2142 §4), whose mail lands in a mailbox.

use crate::fleet::{Fleet, letter};

#[tokio::test(flavor = "multi_thread")]
async fn mail_for_postmaster_and_abuse_lands_in_a_mailbox() {
    let fleet = Fleet::builder().start().await;
    let addresses = [
        "postmaster@example.test",
        "PostMaster@Example.TEST",
        "abuse@example.test",
        "Postmaster",
        "POSTMASTER",
    ];
    for address in addresses {
        let answer = fleet
            .inject("jo@far.test", &[address], &letter(address))
            .await;
        assert_eq!(answer.code, 250, "{address}: {}", answer.text());
    }

    let mails = fleet.mail_of("postmaster", addresses.len()).await;
    for address in addresses {
        let arrived = mails
            .iter()
            .filter(|mail| mail.fields("Subject") == [address]);
        assert_eq!(arrived.count(), 1, "{address}");
    }
    fleet.queue_is_empty().await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_is_refused_and_a_disabled_one_too() {
    let fleet = Fleet::start().await;
    let bob = "bob@example.test".parse().unwrap();
    fleet.directory.set_disabled(&bob, true).await.unwrap();
    let mut talk = fleet.talk().await;
    talk.command("MAIL FROM:<jo@far.test>", 250).await;

    let unknown = talk.command("RCPT TO:<nobody@example.test>", 550).await;
    assert!(unknown.text().starts_with("5.1.1 "), "{}", unknown.text());
    let disabled = talk.command("RCPT TO:<bob@example.test>", 550).await;
    assert!(disabled.text().starts_with("5.2.1 "), "{}", disabled.text());
    fleet.end().await;
}
