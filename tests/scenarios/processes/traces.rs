//! A trace follows a message from service to service, and names nobody when it must not.

use testkit::{Script, Sink, wait_until};

use super::harness::{BOB, Collector, JO, Plan, STRANGER, attribute};

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_leads_from_submission_to_the_last_reply() {
    let far_end = Sink::start(Script::new().recipient(JO, "550 5.1.1 No such user")).await;
    let collector = Collector::start();
    let database = testkit::database().await;
    let mut fleet = Plan::new()
        .far_end(&far_end)
        .everywhere(&collector.settings())
        .start(&database)
        .await;
    fleet.submit(&[BOB, JO], "both").await;
    fleet.mail_of("bob", 1).await;
    fleet.mail_of("alice", 1).await;
    fleet.books.are_empty().await;
    // What has not been exported is exported at the end.
    fleet.end_all().await;

    let accepted = collector.spans("accept");
    assert_eq!(accepted.len(), 1, "{accepted:?}");
    let accepted = &accepted[0];
    let queue_id = attribute(&accepted.attributes, "chasqui.queue_id");
    let attempts = collector.spans("attempt");
    let of_message = attempts.iter().filter(|span| {
        let link = span.links.first();
        link.is_some_and(|link| {
            (&link.trace_id, &link.span_id) == (&accepted.trace_id, &accepted.span_id)
        })
    });
    let of_message: Vec<_> = of_message
        .filter(|span| attribute(&span.attributes, "chasqui.queue_id") == queue_id)
        .collect();
    assert_eq!(of_message.len(), 2, "{attempts:?}");
    let outcome = |outcome: &str| {
        let mut spans = of_message.iter();
        *spans
            .find(|span| span.events.iter().any(|event| event.name == outcome))
            .unwrap_or_else(|| panic!("no attempt has {outcome}: {of_message:?}"))
    };
    let failed = outcome("failed");
    let reply = attribute(&failed.events[0].attributes, "smtp.reply");
    assert_eq!(reply, "550 5.1.1 No such user");
    let delivered = outcome("delivered");
    let deliveries = collector.spans("deliver");
    let delivery = deliveries
        .iter()
        .find(|span| span.parent_span_id == delivered.span_id);
    let delivery = delivery.unwrap_or_else(|| panic!("no delivery is part of it: {deliveries:?}"));
    assert_eq!(delivery.trace_id, delivered.trace_id);
    let trace: String = accepted
        .trace_id
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    let stored = format!(
        "SELECT count(*) FROM queue.attempt WHERE message = '{queue_id}' AND traceparent LIKE '00-{trace}-%'"
    );
    assert_eq!(fleet.books.number(&stored).await, 2);
    assert!(collector.has_metric("chasqui_messages_accepted"));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_hashed_in_logs_and_traces_when_that_is_wanted() {
    let far_end =
        Sink::start(Script::new().recipient(JO, "550 5.1.1 jo@far.test is not here")).await;
    let collector = Collector::start();
    let database = testkit::database().await;
    let mut fleet = Plan::new()
        .far_end(&far_end)
        .everywhere(&collector.settings())
        .everywhere("telemetry.hash_addresses = true\nlog.level = \"debug\"")
        .start(&database)
        .await;
    fleet.submit(&[BOB, JO], "both").await;
    fleet.inject(&[BOB], "stranger").await;
    fleet.mail_of("bob", 2).await;
    fleet.mail_of("alice", 1).await;
    fleet.books.are_empty().await;
    fleet.end_all().await;

    for service in fleet.services() {
        let log = service.log();
        assert!(log.contains("@home.test"), "{}", service.host_name);
        for address in [BOB, JO, STRANGER, "alice@home.test"] {
            let line = log.lines().find(|line| line.contains(address));
            assert!(line.is_none(), "{}: {line:?}", service.host_name);
        }
    }
    wait_until("the attempts to be traced", async || {
        collector.spans("attempt").len() >= 3
    })
    .await;
    for span in collector.spans("attempt") {
        let told = format!("{span:?}");
        for address in [BOB, JO, STRANGER] {
            assert!(!told.contains(address), "{told}");
        }
    }
    fleet.end().await;
}
