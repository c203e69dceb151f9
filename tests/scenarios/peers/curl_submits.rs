//! curl submits, as scripts and monitors do.

use std::net::SocketAddr;

use tokio::process::Command;

use super::as_sent::trace_on_top_of;
use super::present::{Peer, present};
use super::program::{Ended, run};
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
    let server = fleet.submission_address();
    curl(
        &fleet,
        "smtp",
        server,
        &["--ssl-reqd", "--login-options", "AUTH=PLAIN"],
        PASSWORD,
        message.as_bytes(),
    )
    .await
    .well();
    curl(
        &fleet,
        "smtp",
        server,
        &["--ssl-reqd", "--login-options", "AUTH=LOGIN"],
        PASSWORD,
        message.as_bytes(),
    )
    .await
    .well();

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
    curl(
        &fleet,
        "smtps",
        fleet.submission_tls_address(),
        &[],
        PASSWORD,
        &message,
    )
    .await
    .well();

    let mail = fleet.first_mail_of("bob").await;
    trace_on_top_of(&message, &mail);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_understood() {
    if !present(&[Peer::Curl]) {
        return;
    }
    let fleet = Fleet::start().await;
    curl(
        &fleet,
        "smtps",
        fleet.submission_tls_address(),
        &[],
        "wrong",
        b"\r\n",
    )
    .await
    .with_code(LOGIN_DENIED);
    fleet.end().await;
}

/// Submits from alice to bob. curl checks our certificate and its name.
async fn curl(
    fleet: &Fleet,
    scheme: &str,
    server: SocketAddr,
    arguments: &[&str],
    password: &str,
    message: &[u8],
) -> Ended {
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
        .args(arguments)
        .args(["--upload-file", "-"]);
    run(&mut command, message).await
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
