//! curl submits, as scripts and monitors do.

use tokio::process::Command;

use super::as_sent::trace_on_top_of;
use super::present::{Peer, present};
use super::program::run;
use crate::fleet::{Fleet, PASSWORD};

/// curl's exit code for a login that was refused (its manual, "EXIT CODES").
const LOGIN_DENIED: i32 = 67;

#[tokio::test(flavor = "multi_thread")]
async fn text_of_eight_bits_after_starttls() {
    if !present(&[Peer::Curl]) {
        return;
    }
    let fleet = Fleet::start().await;
    let message = head("Grüße", "text/plain; charset=utf-8", "8bit")
        + "Über sieben Brücken mußt du geh’n. 日本語 🦙\r\n.\r\n..\r\n.dot\r\n\r\nno dot\r\n";
    for mechanism in ["AUTH=PLAIN", "AUTH=LOGIN"] {
        let mut curl = curl(&fleet, "smtp", PASSWORD);
        curl.args(["--ssl-reqd", "--login-options", mechanism]);
        run(&mut curl, message.as_bytes()).await.well();
    }

    for mail in fleet.mail_of("bob", 2).await {
        let trace = trace_on_top_of(message.as_bytes(), &mail);
        assert!(trace.contains("with ESMTPSA id"), "{trace}");
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_of_two_mebibytes_in_tls_from_the_first_byte() {
    if !present(&[Peer::Curl]) {
        return;
    }
    let fleet = Fleet::start().await;
    let mut message = head("attached", "application/octet-stream", "base64").into_bytes();
    message.extend(attachment(2 << 20));
    run(&mut curl(&fleet, "smtps", PASSWORD), &message)
        .await
        .well();

    let mail = fleet.first_mail_of("bob").await;
    trace_on_top_of(&message, &mail);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_added_and_what_is_secret_goes() {
    if !present(&[Peer::Curl]) {
        return;
    }
    let fleet = Fleet::start().await;
    let message = "From: alice@example.test\r\nReturn-Path: <x@example.test>\r\nTo: bob@example.test\r\n\
                   Bcc: carol@example.test,\r\n\tdave@example.test\r\nSubject: short\r\n\r\nBcc: stays here\r\n";
    run(&mut curl(&fleet, "smtps", PASSWORD), message.as_bytes())
        .await
        .well();

    let mail = fleet.first_mail_of("bob").await;
    let left = "From: alice@example.test\r\nTo: bob@example.test\r\nSubject: short\r\n\r\nBcc: stays here\r\n";
    trace_on_top_of(left.as_bytes(), &mail);
    let names = [
        "Return-Path",
        "Delivered-To",
        "Received",
        "Date",
        "Message-ID",
        "From",
        "To",
        "Subject",
    ];
    assert_eq!(mail.field_names(), names);
    assert_eq!(mail.fields("Return-Path"), ["<alice@example.test>"]);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_understood() {
    if !present(&[Peer::Curl]) {
        return;
    }
    let fleet = Fleet::start().await;
    let mut curl = curl(&fleet, "smtps", "wrong");
    run(&mut curl, b"\r\n").await.with_code(LOGIN_DENIED);
    fleet.end().await;
}

/// curl, told to submit from alice to bob. It checks our certificate and its name.
fn curl(fleet: &Fleet, scheme: &str, password: &str) -> Command {
    let server = match scheme {
        "smtps" => fleet.submission_tls_address(),
        _ => fleet.submission_address(),
    };
    let port = server.port();
    let mut command = Command::new("curl");
    command
        .args(["--disable", "--silent", "--show-error", "--max-time", "30"])
        .args(["--url", &format!("{scheme}://localhost:{port}/curl.test")])
        .args(["--resolve", &format!("localhost:{port}:127.0.0.1")])
        .arg("--cacert")
        .arg(fleet.certificate())
        .args(["--user", &format!("alice@example.test:{password}")])
        .args([
            "--mail-from",
            "alice@example.test",
            "--mail-rcpt",
            "bob@example.test",
        ])
        .args(["--upload-file", "-"]);
    command
}

fn head(subject: &str, kind: &str, encoding: &str) -> String {
    format!(
        "From: Alice <alice@example.test>\r\nTo: Bob <bob@example.test>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{encoding}@curl.test>\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: {kind}\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
}

/// So many bytes at least of Base64 in lines (RFC 2045 §6.8), none like the one before.
fn attachment(length: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 1_u32;
    let mut bytes = Vec::with_capacity(length + 78);
    while bytes.len() < length {
        for _ in 0..76 {
            // Numerical Recipes' generator; its upper bits are the better ones.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.push(ALPHABET[(state >> 26) as usize]);
        }
        bytes.extend(b"\r\n");
    }
    bytes
}
