//! Nobody submits without a login, and no login crosses the network in clear.

use testkit::SmtpTalk;

use crate::fleet::{DOMAIN, Fleet, PASSWORD, letter};

const ALICE: &str = "alice@example.test";

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_neither_offered_nor_taken_before_tls() {
    let fleet = Fleet::start().await;
    let mut talk = SmtpTalk::connect(fleet.submission_address()).await;
    talk.expect(220).await;
    let offered = talk.command("EHLO client.test", 250).await;
    assert!(offered.lines.iter().any(|line| line == "STARTTLS"));
    assert!(!offered.text().contains("AUTH"), "{}", offered.text());
    talk.login(ALICE, PASSWORD, 530).await;
    let mail = talk.command("MAIL FROM:<alice@example.test>", 530).await;
    assert!(mail.text().starts_with("5.7.0 "), "{}", mail.text());

    let mut talk = talk.starttls().await;
    let offered = talk.command("EHLO client.test", 250).await;
    assert!(offered.lines.iter().any(|line| line == "AUTH PLAIN LOGIN"));
    assert!(!offered.text().contains("STARTTLS"), "{}", offered.text());
    talk.command("MAIL FROM:<alice@example.test>", 530).await;
    talk.login(ALICE, PASSWORD, 235).await;
    talk.command("MAIL FROM:<alice@example.test>", 250).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_before_tls_does_not_survive_it() {
    let fleet = Fleet::start().await;
    let mut talk = fleet.talk_as_alice().await;
    talk.command("STARTTLS", 503).await;
    talk.command("MAIL FROM:<alice@example.test>", 250).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_end_the_session_and_then_shut_the_address_out() {
    let fleet = Fleet::builder()
        .account("alice")
        .submission("limits.failed_logins_per_session = 2")
        .submission("limits.failed_logins_per_address = 3")
        .start()
        .await;
    let mut talk = fleet.talk_in_tls().await;
    talk.login(ALICE, "wrong password", 535).await;
    talk.login(ALICE, "wrong again", 535).await;
    talk.expect(421).await;
    assert!(talk.next_answer().await.is_none(), "the session goes on");
    let mut talk = fleet.talk_in_tls().await;
    talk.login(&format!("nobody@{DOMAIN}"), PASSWORD, 535).await;

    talk.login(ALICE, PASSWORD, 421).await;
    let mut talk = fleet.talk_in_tls().await;
    talk.login(ALICE, PASSWORD, 421).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_disabled_meanwhile_sends_no_more() {
    let fleet = Fleet::start().await;
    fleet.submit(&["bob"], &letter("while enabled")).await;
    let alice = ALICE.parse().unwrap();
    fleet.directory.set_disabled(&alice, true).await.unwrap();

    // What a directory remembers of a login passes within seconds.
    testkit::wait_until("the login to be refused", async || {
        let mut talk = fleet.talk_in_tls().await;
        let response = "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABjb3JyZWN0IGhvcnNl";
        talk.ask(response).await.code == 535
    })
    .await;
    fleet.end().await;
}
