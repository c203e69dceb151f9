//! What the logs say about mail: one structured line for each event, and neither passwords nor content.

use std::collections::BTreeMap;

use serde_json::Value;
use testkit::{Script, Sink, wait_until};

use super::harness::{ALICE, BOB, Fleet, JO, Metrics, PASSWORD, Plan, STRANGER, mail_client};

/// What a letter's text says, and no log may.
const CONTENT: &str = "a message of no consequence at all";
const WRONG_PASSWORD: &str = "canary-password-that-is-wrong";

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_one_line_and_no_line_has_secrets() {
    let far_end = Sink::start(
        Script::new()
            .recipient("full@far.test", "452 4.2.2 Mailbox full")
            .recipient("closed@far.test", "450 4.2.1 Closed for now")
            .recipient("gone@far.test", "550 5.1.1 No such user"),
    )
    .await;
    let database = testkit::database().await;
    let mut fleet = Plan::new()
        .far_end(&far_end)
        .everywhere("log.format = \"json\"\nlog.level = \"trace\"")
        .submission("limits.expire_after = \"6s\"")
        .relay("inbound.relay_networks = [\"127.0.0.0/8\"]")
        .start(&database)
        .await;
    let mut intruder = mail_client(fleet.submissions[0].smtp()).await;
    intruder.login(ALICE, WRONG_PASSWORD, 535).await;
    drop(intruder);
    fleet.submit(&[BOB, JO], "both").await;
    fleet.submit(&["closed@far.test"], "closed").await;
    fleet.submit(&["gone@far.test"], "gone").await;
    fleet.inject(&[BOB], "stranger").await;
    fleet.inject(&["full@far.test"], "full").await;
    let deferred = "SELECT count(DISTINCT message) FROM queue.attempt WHERE outcome = 'deferred'";
    fleet.books.give(deferred, 2).await;
    far_end.set(Script::new().recipient("closed@far.test", "450 4.2.1 Closed for now"));
    // Two reports: on the recipient who is gone, and on the one who stayed closed.
    assert_eq!(fleet.mail_of("alice", 2).await.len(), 2);
    fleet.books.are_empty().await;

    let events = events(&mut fleet);
    let count = |event: &str, recipient: &str| {
        let of_event = events.get(event).into_iter().flatten();
        of_event
            .filter(|line| line["recipient"] == recipient)
            .count()
    };
    for recipient in [JO, "full@far.test"] {
        assert_eq!(count("delivered", recipient), 1, "{recipient}");
    }
    assert_eq!(count("delivered", BOB), 2);
    assert_eq!(count("delivered", ALICE), 2);
    assert_eq!(count("bounced", "gone@far.test"), 1);
    assert_eq!(count("expired", "closed@far.test"), 1);
    assert!(count("deferred", "full@far.test") >= 1);
    // Five messages came from outside; two reports were written.
    assert_eq!(events["accepted"].len(), 5 + 2);
    let accepted = |reverse_path: &str| {
        let lines = events["accepted"].iter();
        lines
            .filter(|line| line["reverse_path"] == reverse_path)
            .count()
    };
    assert_eq!(accepted(&format!("<{ALICE}>")), 3);
    assert_eq!(accepted(&format!("<{STRANGER}>")), 2);
    assert_eq!(accepted("<>"), 2);
    assert!(events["attempt"].len() >= 8, "{:?}", events["attempt"]);

    for (event, lines) in &events {
        for line in lines {
            assert_has_all_fields(event, line);
        }
    }
    assert_no_secrets(&mut fleet);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_route_holds_or_discards_is_told_and_counted() {
    let database = testkit::database().await;
    let mut fleet = Plan::new()
        .everywhere("log.format = \"json\"")
        .relay(
            "route = [{ domain = \"held.test\", action = \"hold\" }, \
             { domain = \"void.test\", action = \"discard\" }]",
        )
        .start(&database)
        .await;
    fleet
        .submit(&["jo@void.test", "al@void.test"], "void")
        .await;
    fleet.books.are_empty().await;
    fleet.submit(&["jo@held.test"], "held").await;
    let held = "SELECT count(*) FROM queue.units WHERE state = 'held'";
    fleet.books.give(held, 1).await;

    let relay = fleet.relays[0].telemetry;
    wait_until("both to be counted", async || {
        let metrics = Metrics::of(relay).await;
        metrics.value("chasqui_recipients_discarded_total") == 2.0
            && metrics.value("chasqui_recipients_held_total") == 1.0
    })
    .await;
    let events = events(&mut fleet);
    let accepted = &events["accepted"];
    for (event, recipients, reason) in [
        (
            "held",
            &["jo@held.test"][..],
            "a route holds mail for held.test",
        ),
        (
            "discarded",
            &["jo@void.test", "al@void.test"],
            "a route discards this mail",
        ),
    ] {
        let lines = &events[event];
        let told: Vec<_> = lines.iter().map(|line| &line["recipient"]).collect();
        assert_eq!(told, recipients);
        for line in lines {
            assert_has_all_fields(event, line);
            assert_eq!(line["reply"], reason);
            let mut accepted = accepted.iter();
            assert!(accepted.any(|accepted| accepted["queue_id"] == line["queue_id"]));
        }
    }
    fleet.end().await;
}

/// The lines about mail in all logs, by event.
fn events(fleet: &mut Fleet) -> BTreeMap<String, Vec<Value>> {
    let mut events: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for service in fleet.services() {
        for line in service.log().lines() {
            let line: Value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("not JSON: {error}: {line}"));
            if line["target"] == "message" {
                let event = line["message"].as_str().unwrap().to_owned();
                events.entry(event).or_default().push(line);
            }
        }
    }
    events
}

fn assert_has_all_fields(event: &str, line: &Value) {
    let fields: &[&str] = match event {
        "accepted" => &["service", "recipient", "recipients", "size"],
        "attempt" => &["attempt", "next_hop", "recipients"],
        "delivered" | "deferred" | "bounced" | "expired" | "held" | "discarded" => {
            &["recipient", "next_hop", "delay_s", "status", "reply"]
        }
        other => panic!("{other} is no event: {line}"),
    };
    for field in ["timestamp", "queue_id", "reverse_path"]
        .iter()
        .chain(fields)
    {
        assert!(!line[field].is_null(), "{field} is missing in {line}");
    }
}

fn assert_no_secrets(fleet: &mut Fleet) {
    use base64::Engine as _;
    let in_base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let response = in_base64(&format!("\0{ALICE}\0{PASSWORD}"));
    for service in fleet.services() {
        let log = service.log();
        for secret in [
            PASSWORD,
            WRONG_PASSWORD,
            CONTENT,
            &response,
            super::harness::TOKEN,
        ] {
            let line = log.lines().find(|line| line.contains(secret));
            assert!(
                line.is_none(),
                "{} tells {secret:?}: {line:?}",
                service.host_name
            );
        }
    }
}
