//! Two relays and two deliveries share the work: everything arrives, once.

use std::collections::BTreeSet;

use testkit::{Script, Sink, SmtpTalk};

use crate::fleet::{Fleet, letter, submit_over};

const MESSAGES: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn mail_through_two_relays_and_two_deliveries_arrives_once() {
    let sink = Sink::start(Script::new()).await;
    let fleet = Fleet::builder()
        .relays_and_deliveries(2, 2)
        .account("alice")
        .account("bob")
        .smart_host("*", sink.address())
        .start()
        .await;
    fleet.hand_off_stands().await;
    let mut client = fleet.mail_client("alice").await;
    let mut other_servers = [
        SmtpTalk::hello(fleet.relay_address_of(0)).await,
        SmtpTalk::hello(fleet.relay_address_of(1)).await,
    ];
    for number in 0..MESSAGES {
        let content = letter(&format!("submitted {number}"));
        submit_over(&mut client, &["bob", "jo@far.test"], &content).await;
        let content = letter(&format!("injected {number}"));
        let answer = other_servers[number % 2]
            .send_message("di@far.test", &["bob@example.test"], &content)
            .await;
        assert_eq!(answer.code, 250, "{}", answer.text());
    }
    client.quit().await;

    fleet.queue_is_empty().await;
    let mails = fleet.mail_of("bob", 2 * MESSAGES).await;
    let subjects: BTreeSet<Vec<String>> = mails.iter().map(|mail| mail.fields("Subject")).collect();
    assert_eq!((mails.len(), subjects.len()), (2 * MESSAGES, 2 * MESSAGES));
    assert_eq!(sink.messages().len(), MESSAGES);
    let relays = "SELECT count(DISTINCT incarnation) FROM queue.attempts";
    assert_eq!(fleet.sql(relays).await, 2, "both relays had work");
    fleet.end().await;
}
