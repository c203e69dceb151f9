//! Caps on recipients, messages, wrong passwords and connections.

use crate::client::Client;
use crate::fleet::{ALICE, Fleet, plain};

const CONTENT: &str = "From: alice@example.org\r\n\r\nbody\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn more_recipients_than_the_cap_wait_for_the_next_transaction() {
    let fleet = Fleet::with(&[("LIMITS__RECIPIENTS", "100")]).await;
    let mut client = fleet.logged_in();
    client.ask("MAIL FROM:<alice@example.org>", "250");
    for number in 0..100 {
        client.ask(&format!("RCPT TO:<r{number}@example.net>"), "250");
    }
    client.ask("RCPT TO:<r100@example.net>", "452 4.5.3");
    client.ask("DATA", "354");
    client.say(format!("{CONTENT}.\r\n"));
    client.expect("250");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_an_allowance_of_messages_an_hour() {
    let fleet = Fleet::with(&[("LIMITS__MESSAGES_PER_HOUR", "2")]).await;
    let mut client = fleet.logged_in();
    for _ in 0..2 {
        let said = client.submit("alice@example.org", &["jo@example.net"], CONTENT);
        assert!(said.starts_with("250"), "{said}");
    }
    client.ask("MAIL FROM:<sales@example.org>", "250");
    client.ask("RCPT TO:<jo@example.net>", "250");
    client.ask("DATA", "451 4.7.1");
    let mut client = fleet.encrypted();
    let bob = plain("", "bob@example.org", crate::directory::PASSWORD);
    client.ask(&format!("AUTH PLAIN {bob}"), "235");
    let content = CONTENT.replace("alice", "bob");
    let said = client.submit("bob@example.org", &["jo@example.net"], &content);
    assert!(
        said.starts_with("250"),
        "another account has its own: {said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_the_size_is_refused_when_declared_and_when_sent() {
    let fleet = Fleet::with(&[("LIMITS__MESSAGE_SIZE", "64KiB")]).await;
    let mut client = fleet.logged_in();
    client.ask("MAIL FROM:<alice@example.org> SIZE=65537", "552 5.3.4");
    let content = CONTENT.to_owned() + &"0123456789abcde\r\n".repeat(4096);
    let said = client.submit("alice@example.org", &["jo@example.net"], &content);
    assert!(said.starts_with("552 5.3.4"), "{said}");
    let said = client.submit("alice@example.org", &["jo@example.net"], CONTENT);
    assert!(said.starts_with("250"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_from_one_address_are_counted_over_sessions() {
    let fleet = Fleet::with(&[("LIMITS__FAILED_LOGINS_PER_ADDRESS", "3")]).await;
    let wrong = plain("", "alice@example.org", "wrong password");
    for _ in 0..3 {
        fleet.encrypted().ask(&format!("AUTH PLAIN {wrong}"), "535");
    }
    let mut client = fleet.encrypted();
    client.ask(&format!("AUTH PLAIN {}", *ALICE), "421 4.7.0");
    client.expect_end();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_from_one_address_are_capped() {
    let listen = "[{ address = \"127.0.0.1:0\", max_connections_per_address = 1 }, \
                  { address = \"127.0.0.1:0\", tls = \"implicit\" }]";
    let fleet = Fleet::with(&[("LISTEN", listen)]).await;
    let mut first = Client::connect(fleet.starttls);
    first.expect("220");
    Client::connect(fleet.starttls).expect("421 4.7.0");
    first.ask("QUIT", "221");
}
