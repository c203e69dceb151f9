//! Routes are looked up at each attempt: a change holds for what is queued, and reopens what is suspended.

use testkit::{Action, Script, Sink, Stage};

use crate::fleet::{Fleet, letter};

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_route_reopens_a_suspended_destination() {
    let down = Script::new().on(Stage::Greeting, Action::Close);
    let (old, new) = (Sink::start(down).await, Sink::start(Script::new()).await);
    let mut fleet = Fleet::builder()
        .account("alice")
        .smart_host("*", old.address())
        .relay("outbound.suspend_first = \"1h\"")
        .relay("outbound.suspend_longest = \"1h\"")
        .start()
        .await;
    fleet
        .submit(&["jo@far.test"], &letter("round the block"))
        .await;
    fleet
        .sql_gives("SELECT count(suspended_until) FROM queue.destination", 1)
        .await;
    let address = new.address();
    fleet.reload_relay(&format!(
        "route = [{{ domain = \"*\", smart_host = \"{address}\" }}]"
    ));

    new.wait_for(1).await;
    fleet.queue_is_empty().await;
    assert_eq!(old.connections(), 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_becomes_ours_is_delivered_here() {
    let later = Script::new().on(Stage::Rcpt, Action::reply("450 4.2.0 Later"));
    let sink = Sink::start(later).await;
    let fleet = Fleet::builder()
        .account("alice")
        .smart_host("*", sink.address())
        .start()
        .await;
    fleet
        .submit(&["postmaster@new.test"], &letter("moving in"))
        .await;
    fleet
        .sql_gives("SELECT count(*) FROM queue.units WHERE tries > 0", 1)
        .await;
    let domain = smtp::Domain::parse("new.test").unwrap();
    fleet.directory.add_domain(&domain, None).await.unwrap();

    fleet.queue_is_empty().await;
    assert_eq!(fleet.mail_at("new.test", "postmaster").len(), 1);
    assert!(sink.messages().is_empty());
    fleet.end().await;
}
