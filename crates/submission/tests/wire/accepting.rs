//! What becomes of an accepted message.

use queue::{Lease, UnitId, UnitState};
use smtp::Body;

use crate::fleet::Fleet;
use crate::hand_off::HOLDER;

const COMPLETE: &str = "From: alice@example.org\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\
                        Message-ID: <m1@example.org>\r\n\r\n..stuffed\r\n";

fn queue_id(reply: &str) -> String {
    let (_, id) = reply.trim_end().split_once("250 2.0.0 queued as ").unwrap();
    id.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_message_is_leased_and_handed_to_the_relay() {
    let mut fleet = Fleet::start().await;
    let mut client = fleet.logged_in();
    let reply = client.submit("alice@example.org", &["jo@example.net"], COMPLETE);
    let id = queue_id(&reply);
    let (unit, content) = fleet.relay.next().await;
    let expected = Lease {
        unit: UnitId {
            queue_id: id.parse().unwrap(),
            number: 0,
        },
        holder: HOLDER,
        attempt: 1,
    };
    assert_eq!(unit.lease, expected);
    assert_eq!((unit.tenant.0, unit.domain.as_str()), (7, "example.net"));
    assert_eq!(unit.reverse_path.as_address(), "alice@example.org");
    assert_eq!(unit.recipients[0].mailbox.to_string(), "jo@example.net");
    assert_eq!(unit.body, Body::SevenBit);
    let lifetime = (unit.expires_at - unit.accepted_at).whole_hours();
    assert!((119..=120).contains(&lifetime), "{lifetime} hours");

    let queued = fleet.queued(&id).await;
    assert_eq!(
        (queued[0].state, queued[0].holder),
        (UnitState::Leased, Some(HOLDER))
    );

    let (trace, rest) = content.split_at(content.find("From:").unwrap());
    assert_eq!(rest, COMPLETE.replace("..stuffed", ".stuffed"));
    let lines: Vec<&str> = trace.split("\r\n").collect();
    assert_eq!(lines[0], "Received: from client.example.net ([127.0.0.1])");
    assert_eq!(
        lines[1],
        format!("\tby mail.example.org with ESMTPSA id {id}")
    );
    assert_eq!(lines[2], "\tfor <jo@example.net>");
    assert!(
        lines[3].starts_with("\ttls TLS_") && lines[3].ends_with(" (TLSv1.3);"),
        "{trace}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_added_and_what_is_private_removed() {
    let mut fleet = Fleet::start().await;
    let mut client = fleet.logged_in();
    let content = "Return-Path: <x@y>\r\nFrom: alice@example.org\r\nBcc: secret@example.net,\r\n\
                   \tmore@example.net\r\nTo: jo@example.net\r\n\r\ncaf\u{e9}\r\n";
    let recipients = ["jo@example.net", "secret@example.net"];
    let id = queue_id(&client.submit("alice@example.org", &recipients, content));
    let (unit, content) = fleet.relay.next().await;
    assert_eq!(unit.recipients.len(), 2);
    assert_eq!(
        unit.body,
        Body::EightBitMime,
        "whatever the client declared"
    );
    assert!(content.contains("\r\nDate: "), "{content}");
    assert!(content.contains(&format!("\r\nMessage-ID: <{id}@mail.example.org>\r\n")));
    assert!(
        content.ends_with("\r\nFrom: alice@example.org\r\nTo: jo@example.net\r\n\r\ncaf\u{e9}\r\n")
    );
    assert!(
        !content.contains("secret"),
        "neither Bcc nor a `for` clause: {content}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_are_split_by_domain_and_each_counts_once() {
    let mut fleet = Fleet::start().await;
    let mut client = fleet.logged_in();
    let recipients = [
        "jo@example.net",
        "al@EXAMPLE.com",
        "jo@example.net",
        "Postmaster",
    ];
    client.ask("MAIL FROM:<alice@example.org>", "250");
    for recipient in recipients {
        client.ask(&format!("RCPT TO:<{recipient}>"), "250");
    }
    client.ask("DATA", "354");
    client.say(format!("{COMPLETE}.\r\n"));
    client.expect("250");
    let mut found = Vec::new();
    for _ in 0..3 {
        let (unit, _) = fleet.relay.next().await;
        found.extend(
            unit.recipients
                .iter()
                .map(|r| (unit.domain.clone(), r.mailbox.to_string())),
        );
    }
    found.sort();
    let expected = [
        ("example.com", "al@example.com"),
        ("example.net", "jo@example.net"),
        ("example.org", "postmaster@example.org"),
    ];
    assert_eq!(
        found,
        expected.map(|(domain, mailbox)| (domain.to_owned(), mailbox.to_owned()))
    );
    assert!(fleet.relay.has_nothing());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_needs_a_full_domain() {
    let fleet = Fleet::start().await;
    let mut client = fleet.logged_in();
    client.ask("MAIL FROM:<alice@example.org>", "250");
    client.ask("RCPT TO:<jo@intranet>", "554 5.1.2 <jo@intranet> ");
    client.ask("RCPT TO:<jo@[192.0.2.1]>", "250");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipelined_client_gets_its_replies_in_order() {
    let mut fleet = Fleet::start().await;
    let mut client = fleet.logged_in();
    client.say(
        "MAIL FROM:<alice@example.org>\r\nRCPT TO:<jo@example.net>\r\nDATA\r\n".to_owned()
            + COMPLETE
            + ".\r\nMAIL FROM:<bob@example.org>\r\nQUIT\r\n",
    );
    for start in [
        "250 2.1.0",
        "250 2.1.5",
        "354",
        "250 2.0.0 queued",
        "550-5.7.1",
        "221",
    ] {
        client.expect(start);
    }
    client.expect_end();
    fleet.relay.next().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_relay_mail_waits_in_the_queue() {
    let mut fleet = Fleet::start().await;
    let mut client = fleet.logged_in();
    fleet.relay.hand_off.close();
    fleet.relays_are_gone().await;
    let reply = client.submit("alice@example.org", &["jo@example.net"], COMPLETE);
    let units = fleet.queued(&queue_id(&reply)).await;
    assert_eq!((units[0].state, units[0].holder), (UnitState::Ready, None));
    assert_eq!(units[0].recipients[0].to_string(), "jo@example.net");
    assert!(fleet.relay.has_nothing());
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_to_a_suspended_destination_is_queued_without_a_lease() {
    let mut fleet = Fleet::start().await;
    let mut client = fleet.logged_in();
    fleet.relay.hand_off.suspend(queue::DestinationKey {
        tenant: queue::Tenant(7),
        domain: "dead.example".to_owned(),
    });
    fleet.suspension_is_known("dead.example").await;
    let reply = client.submit("alice@example.org", &["jo@dead.example"], COMPLETE);
    let units = fleet.queued(&queue_id(&reply)).await;
    assert_eq!((units[0].state, units[0].holder), (UnitState::Ready, None));
    let reply = client.submit("alice@example.org", &["jo@example.net"], COMPLETE);
    let (unit, _) = fleet.relay.next().await;
    assert_eq!(unit.lease.unit.queue_id.to_string(), queue_id(&reply));
    assert!(fleet.relay.has_nothing());
}
