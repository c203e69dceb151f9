//! AUTH: who may log in, and when.

use crate::client::Client;
use crate::directory::PASSWORD;
use crate::fleet::{ALICE, Fleet, base64, plain};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_starttls_is_offered_in_plaintext() {
    let fleet = Fleet::start().await;
    let mut client = Client::connect(fleet.starttls);
    client.expect("220 mail.example.org ESMTP");
    let offer = client.ask("EHLO client.example.net", "250");
    assert!(
        offer.contains("STARTTLS") && !offer.contains("AUTH"),
        "{offer}"
    );
    let refusal = client.ask("MAIL FROM:<alice@example.org>", "530 5.7.0");
    assert!(refusal.contains("STARTTLS"), "{refusal}");
    client.ask(&format!("AUTH PLAIN {}", *ALICE), "5");
    client.ask("STARTTLS", "220");
    let mut client = client.into_tls(&fleet.trust);
    let offer = client.ask("EHLO client.example.net", "250");
    for extension in [
        "AUTH PLAIN LOGIN",
        "PIPELINING",
        "SIZE 52428800",
        "8BITMIME",
        "ENHANCEDSTATUSCODES",
    ] {
        assert!(offer.contains(extension), "{extension} is not in {offer}");
    }
    assert!(!offer.contains("STARTTLS"), "{offer}");
    client.ask(
        "MAIL FROM:<alice@example.org>",
        "530 5.7.0 Authentication required",
    );
    client.ask(&format!("AUTH PLAIN {}", *ALICE), "235 2.7.0");
    client.ask("QUIT", "221");
}

#[tokio::test(flavor = "multi_thread")]
async fn implicit_tls_comes_before_the_greeting() {
    let fleet = Fleet::start().await;
    let mut client = Client::connect(fleet.implicit).into_tls(&fleet.trust);
    client.expect("220 mail.example.org");
    client.ask("EHLO client.example.net", "250");
    client.ask(&format!("AUTH PLAIN {}", *ALICE), "235");
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_and_login_are_spoken_with_and_without_initial_response() {
    let fleet = Fleet::start().await;
    let mut client = fleet.encrypted();
    client.ask("AUTH PLAIN", "334");
    client.ask(&ALICE, "235");
    let mut client = fleet.encrypted();
    client.ask("AUTH LOGIN", "334 VXNlcm5hbWU6");
    client.ask(&base64("ALICE@Example.ORG"), "334 UGFzc3dvcmQ6");
    client.ask(&base64(PASSWORD), "235");
    let mut client = fleet.encrypted();
    client.ask(
        &format!("AUTH LOGIN {}", base64("alice@example.org")),
        "334",
    );
    client.ask(&base64(PASSWORD), "235");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_an_unknown_and_a_disabled_account_are_told_alike() {
    let fleet = Fleet::start().await;
    let bob = "bob@example.org".parse().unwrap();
    fleet.directory.set_disabled(&bob, true).await.unwrap();
    let mut client = fleet.encrypted();
    let refusals = [
        ("alice@example.org", "wrong password"),
        ("nobody@example.org", PASSWORD),
    ]
    .map(|(login, password)| {
        client.ask(
            &format!("AUTH PLAIN {}", plain("", login, password)),
            "535 5.7.8",
        )
    });
    let mut client = fleet.encrypted();
    let disabled = plain("", "bob@example.org", PASSWORD);
    let refusal = client.ask(&format!("AUTH PLAIN {disabled}"), "535 5.7.8");
    assert!(refusals.iter().all(|other| *other == refusal));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_acts_as_itself_only() {
    let fleet = Fleet::start().await;
    let mut client = fleet.encrypted();
    let other = plain("bob@example.org", "alice@example.org", PASSWORD);
    client.ask(&format!("AUTH PLAIN {other}"), "535 5.7.8");
    client.ask("MAIL FROM:<bob@example.org>", "530");
    let itself = plain("Alice@example.org", "alice@example.org", PASSWORD);
    client.ask(&format!("AUTH PLAIN {itself}"), "235");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_wrong_passwords_end_the_session() {
    let fleet = Fleet::start().await;
    let mut client = fleet.encrypted();
    let wrong = plain("", "alice@example.org", "wrong password");
    for _ in 0..2 {
        client.ask(&format!("AUTH PLAIN {wrong}"), "535");
    }
    client.ask(&format!("AUTH PLAIN {wrong}"), "535");
    client.expect("421");
    client.expect_end();
}
