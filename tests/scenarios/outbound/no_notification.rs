//! A null reverse-path never yields a notification (RFC 5321 §4.5.5).

use smtp::client::RecipientResult;
use smtp::{Body, ReversePath};
use smtp_net::OutboundTransaction;
use testkit::{Script, Sink, Zone};

use super::fleet_before;
use crate::fleet::{Fleet, letter};

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_refused_makes_no_report() {
    let script = Script::new().recipient("no@far.test", "550 5.1.1 Nobody by that name");
    let sink = Sink::start(script).await;
    let fleet = fleet_before(&sink).await;
    let mut client = fleet.mail_client("alice").await;
    let transaction = OutboundTransaction {
        reverse_path: &ReversePath::Null,
        recipients: &["no@far.test".parse().unwrap()],
        body: Body::SevenBit,
        content: &[letter("read receipt").into()],
    };
    let results = client.send(&transaction, &|| true).await.unwrap();
    assert!(matches!(results[..], [RecipientResult::Accepted(_)]));

    fleet
        .sql_gives(
            "SELECT coalesce(sum(failed), 0)::bigint FROM queue.balance",
            1,
        )
        .await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("accepted").await, 1);
    assert!(fleet.mail_now("alice").is_empty());
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_that_cannot_be_delivered_ends_there() {
    let dns = Zone::new().serve().await;
    let fleet = Fleet::builder()
        .relay("inbound.relay_networks = [\"127.0.0.0/8\"]")
        .dns(&dns)
        .start()
        .await;
    let answer = fleet
        .inject(
            "jo@gone.test",
            &["di@nowhere.test"],
            &letter("from nobody to nobody"),
        )
        .await;
    assert_eq!(answer.code, 250);

    fleet
        .sql_gives(
            "SELECT coalesce(sum(failed), 0)::bigint FROM queue.balance",
            2,
        )
        .await;
    fleet.queue_is_empty().await;
    assert_eq!(
        fleet.recipients("accepted").await,
        2,
        "the message, and one notification"
    );
    fleet.end().await;
}
