//! Python's smtplib submits: a client that waits for each answer, and sends whatever it is given.

use serde_json::json;

use super::as_sent::trace_on_top_of;
use super::present::{Peer, present};
use super::python::python;
use crate::fleet::{Fleet, PASSWORD};

const SUBMIT: &str = include_str!("submit_by_smtplib.py");
const HEAD: &str = "From: <alice@example.test>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@python.test>\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn odd_messages_arrive_as_they_were_sent() {
    if !present(&[Peer::Python]) {
        return;
    }
    let line = |length: usize| "x".repeat(length) + "\r\n";
    let odd = [
        "\r\n.\r\n..\r\n...\r\n.x\r\n. \r\n.\r\n".to_owned(),
        // An empty body; no body, and not even the empty line before it; nothing but empty lines.
        "\r\n".to_owned(),
        String::new(),
        "\r\n\r\n\r\n\r\n".to_owned(),
        // RFC 5321 §4.5.3.1.6 has 1000 octets taken, with CRLF; we take more.
        "\r\n".to_owned() + &line(998) + &line(999) + "." + &line(20_000) + &line(60_000),
        "Subject: Grüße\r\n\r\n日本語\r\n".to_owned(),
        "\r\nblanks at ends of lines \t\r\n \r\n\t\r\n".to_owned(),
    ];
    let names: Vec<String> = (0..odd.len())
        .map(|number| format!("reader{number}"))
        .collect();
    let builder = Fleet::builder().account("alice");
    let fleet = names
        .iter()
        .fold(builder, |builder, name| builder.account(name))
        .start()
        .await;
    for (rest, name) in odd.iter().zip(&names) {
        let message = HEAD.to_owned() + rest;
        submit(&fleet, ["starttls", "plain"], name, &message).await;
        let mail = fleet.first_mail_of(name).await;
        trace_on_top_of(message.as_bytes(), &mail);
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_logs_in_by_every_way() {
    if !present(&[Peer::Python]) {
        return;
    }
    let fleet = Fleet::start().await;
    let ways = [
        ["starttls", "plain"],
        ["starttls", "login"],
        ["implicit", "plain"],
        ["implicit", "login"],
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let message = format!("{HEAD}Subject: {way:?}\r\n\r\n");
        submit(&fleet, way, "bob", &message).await;
        let mail = fleet.mail_of("bob", number + 1).await;
        let mail = mail
            .iter()
            .find(|mail| mail.bytes.ends_with(message.as_bytes()))
            .unwrap();
        let trace = trace_on_top_of(message.as_bytes(), mail);
        assert!(trace.contains("with ESMTPSA id"), "{trace}");
    }
    fleet.end().await;
}

/// Submits from alice. Python checks our certificate and its name.
async fn submit(fleet: &Fleet, [tls, mechanism]: [&str; 2], to: &str, message: &str) {
    let server = match tls {
        "implicit" => fleet.submission_tls_address(),
        _ => fleet.submission_address(),
    };
    let port = server.port().to_string();
    let certificate = fleet.certificate();
    let recipient = format!("{to}@example.test");
    let user = "alice@example.test";
    let arguments = [
        tls,
        &port,
        certificate.to_str().unwrap(),
        mechanism,
        user,
        PASSWORD,
        &recipient,
    ];
    assert_eq!(
        python(SUBMIT, &arguments, message.as_bytes()).await,
        json!([]),
        "refused"
    );
}
