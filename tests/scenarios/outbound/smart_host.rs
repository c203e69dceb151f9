//! A route names a host: the mail goes there, whatever the DNS says.

use testkit::{Script, Sink};

use super::fleet_before;
use crate::fleet::{Fleet, letter};

#[tokio::test(flavor = "multi_thread")]
async fn mail_for_any_domain_goes_to_the_smart_host_as_it_was_queued() {
    let sink = Sink::start(Script::new()).await;
    let fleet = fleet_before(&sink).await;
    let sent = "From: <alice@example.test>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\
                Message-ID: <1@example.test>\r\n\r\n.\r\n..two\r\n...three\r\n\r\n";
    fleet.submit(&["jo@far.test"], sent).await;

    let message = sink.wait_for(1).await.remove(0);
    assert_eq!(message.reverse_path, "alice@example.test");
    assert_eq!(message.recipients, ["jo@far.test"]);
    assert_eq!(message.hello, "mx1.fleet.test");
    let trace = message.text().strip_suffix(sent).map(str::to_owned);
    assert!(trace.is_some_and(|trace| trace.starts_with("Received: ")));
    assert_eq!(sink.complaints(), Vec::<String>::new());
    fleet.queue_is_empty().await;
    assert_eq!(fleet.attempts("delivered").await, 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_of_its_own_wins_over_the_one_for_all() {
    let (all, own) = (
        Sink::start(Script::new()).await,
        Sink::start(Script::new()).await,
    );
    let fleet = Fleet::builder()
        .account("alice")
        .smart_host("*", all.address())
        .smart_host("own.test", own.address())
        .start()
        .await;
    fleet
        .submit(&["jo@own.test", "jo@any.test"], &letter("routed"))
        .await;

    assert_eq!(own.wait_for(1).await[0].recipients, ["jo@own.test"]);
    assert_eq!(all.wait_for(1).await[0].recipients, ["jo@any.test"]);
    fleet.queue_is_empty().await;
    assert_eq!((own.messages().len(), all.messages().len()), (1, 1));
    fleet.end().await;
}
