//! An account sends as itself and nobody else.

use testkit::Answer;

use crate::fleet::{Fleet, end_data, letter};

/// Submits as alice, from that reverse-path.
async fn submit_from(fleet: &Fleet, reverse_path: &str, content: &str) -> Answer {
    let mut talk = fleet.talk_as_alice().await;
    let mail = talk.ask(&format!("MAIL FROM:<{reverse_path}>")).await;
    if mail.code != 250 {
        return mail;
    }
    talk.command("RCPT TO:<bob@example.test>", 250).await;
    talk.command("DATA", 354).await;
    end_data(&mut talk, content).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_sends_as_its_own_addresses_and_as_no_other() {
    let fleet = Fleet::start().await;
    let address = |text: &str| text.parse().unwrap();
    let sales = address("sales@example.test");
    let alice = address("alice@example.test");
    fleet.directory.add_alias(&sales, &[alice]).await.unwrap();

    for own in [
        "alice@example.test",
        "Alice+x@EXAMPLE.test",
        "sales@example.test",
    ] {
        let content = letter("own").replace("alice@example.test", own);
        let answer = submit_from(&fleet, own, &content).await;
        assert_eq!(answer.code, 250, "{own}: {}", answer.text());
    }
    for other in [
        "bob@example.test",
        "alice@far.test",
        "postmaster@example.test",
    ] {
        let answer = submit_from(&fleet, other, &letter("other")).await;
        assert!(answer.code >= 550, "{other}: {}", answer.text());
        assert!(
            answer.text().starts_with("5.7.1 "),
            "{other}: {}",
            answer.text()
        );
    }
    let in_the_name_of_bob = letter("in disguise").replace("alice@", "bob@");
    let answer = submit_from(&fleet, "alice@example.test", &in_the_name_of_bob).await;
    assert_eq!(answer.code, 550, "{}", answer.text());

    fleet.mail_of("bob", 3).await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("accepted").await, 3);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_goes_out_under_the_null_reverse_path() {
    let fleet = Fleet::start().await;
    let answer = submit_from(&fleet, "", &letter("read receipt")).await;
    assert_eq!(answer.code, 250, "{}", answer.text());

    let mail = fleet.first_mail_of("bob").await;
    assert_eq!(mail.fields("Return-Path"), ["<>"]);
    fleet.end().await;
}
