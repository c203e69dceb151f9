//! We are no open relay, whatever trick an address plays.

use testkit::{Script, Sink, SmtpTalk};

use crate::fleet::{Fleet, end_data, letter};

/// Addresses that are elsewhere, whatever they pretend.
const ELSEWHERE: [&str; 10] = [
    "jo@far.test",
    "JO@FAR.TEST",
    "\"jo\"@far.test",
    "@example.test:jo@far.test",
    "@example.test,@mx1.fleet.test:jo@far.test",
    "bob@example.test.far.test",
    "bob%example.test@far.test",
    "jo@[127.0.0.1]",
    "jo@[IPv6:::1]",
    "bob@sub.example.test",
];

/// Addresses that are at our domain, and would be passed on by a careless server.
const NOBODY_HERE: [&str; 7] = [
    "jo%far.test@example.test",
    "far.test!jo@example.test",
    "\"jo@far.test\"@example.test",
    "@far.test:jo@example.test",
    "\"jo@far.test \"@example.test",
    "bob%example.test@example.test",
    "|cat@example.test",
];

/// No addresses at all.
const NONSENSE: [&str; 12] = [
    "jo@far.test.",
    "jo@far..test",
    "jo@",
    "@far.test",
    "@",
    "jo",
    "jo@far.test@example.test",
    "bob@example.test@far.test",
    "jo@[999.1.1.1]",
    "jo@far_test@",
    "jo far@example.test",
    "jo@far.test>",
];

#[tokio::test(flavor = "multi_thread")]
async fn mail_for_elsewhere_is_refused_however_it_is_addressed() {
    let fleet = Fleet::start().await;
    let mut talk = fleet.talk().await;
    talk.command("MAIL FROM:<jo@far.test>", 250).await;
    for address in ELSEWHERE {
        assert_refused(&mut talk, address, "5.7.1 ").await;
    }
    for address in NOBODY_HERE {
        assert_refused(&mut talk, address, "5.1.1 ").await;
    }
    for address in NONSENSE {
        let answer = talk.ask(&format!("RCPT TO:<{address}>")).await;
        assert!(answer.code >= 500, "{address}: {}", answer.text());
    }
    talk.command("DATA", 554).await;
    assert_eq!(fleet.recipients("accepted").await, 0);
    fleet.end().await;
}

async fn assert_refused(talk: &mut SmtpTalk, address: &str, status: &str) {
    let answer = talk.command(&format!("RCPT TO:<{address}>"), 550).await;
    assert!(
        answer.text().starts_with(status),
        "{address}: {}",
        answer.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_recipient_does_not_spoil_the_others() {
    let fleet = Fleet::start().await;
    let mut talk = fleet.talk().await;
    talk.command("MAIL FROM:<jo@far.test>", 250).await;
    talk.command("RCPT TO:<nobody@example.test>", 550).await;
    talk.command("RCPT TO:<bob@example.test>", 250).await;
    talk.command("RCPT TO:<jo@far.test>", 550).await;
    talk.command("DATA", 354).await;
    let answer = end_data(&mut talk, &letter("for bob")).await;
    assert_eq!(answer.code, 250, "{}", answer.text());

    fleet.first_mail_of("bob").await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("accepted").await, 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_that_may_relay_reach_any_domain() {
    let sink = Sink::start(Script::new()).await;
    let fleet = Fleet::builder()
        .account("bob")
        .relay("inbound.relay_networks = [\"127.0.0.0/8\"]")
        .smart_host("*", sink.address())
        .start()
        .await;
    let recipients = ["jo@far.test", "bob@example.test"];
    let answer = fleet
        .inject("di@other.test", &recipients, &letter("passed on"))
        .await;
    assert_eq!(answer.code, 250, "{}", answer.text());

    let message = sink.wait_for(1).await.remove(0);
    assert_eq!(message.reverse_path, "di@other.test");
    assert_eq!(message.recipients, ["jo@far.test"]);
    assert!(message.text().starts_with("Received: from client.test"));
    fleet.first_mail_of("bob").await;
    let mut talk = fleet.talk().await;
    talk.command("MAIL FROM:<>", 250).await;
    talk.command("RCPT TO:<nobody@example.test>", 550).await;
    fleet.queue_is_empty().await;
    fleet.end().await;
}
