//! swaks submits, by each way to log in, and without one.

use super::as_sent::trace_on_top_of;
use super::present::{Peer, present};
use super::swaks::{LOGIN_FAILED, MAIL_REFUSED, swaks};
use crate::fleet::{Fleet, PASSWORD, letter};

const TO_BOB: [&str; 4] = ["--from", "alice@example.test", "--to", "bob@example.test"];
const LOGIN: [&str; 4] = [
    "--auth-user",
    "alice@example.test",
    "--auth-password",
    PASSWORD,
];

#[tokio::test(flavor = "multi_thread")]
async fn whoever_logs_in_in_tls_may_send() {
    if !present(&[Peer::Swaks]) {
        return;
    }
    let fleet = Fleet::start().await;
    let (starttls, implicit) = (fleet.submission_address(), fleet.submission_tls_address());
    let ways = [
        (starttls, ["--tls", "--auth", "PLAIN"]),
        (starttls, ["--tls", "--auth", "LOGIN"]),
        (implicit, ["--tls-on-connect", "--auth", "PLAIN"]),
        (implicit, ["--tls-on-connect", "--auth", "LOGIN"]),
    ];
    for (number, (server, way)) in ways.into_iter().enumerate() {
        let message = format!(
            "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{number}@swaks.test>\r\n"
        ) + &letter("by swaks")
            + ".a dot\r\n";
        let said = swaks(server, &[&TO_BOB[..], &LOGIN, &way].concat(), &message)
            .await
            .well();
        assert!(said.contains(" 235 2.7.0 "), "{said}");
        assert!(said.contains(" 250 2.0.0 queued as "), "{said}");

        let mail = fleet.mail_of("bob", number + 1).await;
        let mail = mail
            .iter()
            .find(|mail| mail.text().contains(&format!("<{number}@swaks.test>")))
            .unwrap();
        trace_on_top_of(message.as_bytes(), mail);
        let received = mail.fields("Received").remove(0);
        assert!(received.contains("with ESMTPSA id"), "{way:?}: {received}");
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_answered_535() {
    if !present(&[Peer::Swaks]) {
        return;
    }
    let fleet = Fleet::start().await;
    for way in ["PLAIN", "LOGIN"] {
        let login = [
            "--tls",
            "--auth",
            way,
            "--auth-user",
            "alice@example.test",
            "--auth-password",
            "wrong",
        ];
        let ended = swaks(
            fleet.submission_address(),
            &[&TO_BOB[..], &login].concat(),
            &letter("refused"),
        )
        .await;
        let said = ended.with_code(LOGIN_FAILED);
        assert!(said.contains(" 535 5.7.8 "), "{said}");
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_in_clear_or_without_a_login() {
    if !present(&[Peer::Swaks]) {
        return;
    }
    let fleet = Fleet::start().await;
    let server = fleet.submission_address();

    let in_clear = swaks(
        server,
        &[&TO_BOB[..], &LOGIN, &["--auth"]].concat(),
        &letter("refused"),
    )
    .await;
    let said = in_clear.with_code(LOGIN_FAILED);
    assert!(
        said.contains("STARTTLS") && !said.contains("250-AUTH") && !said.contains("250 AUTH"),
        "{said}"
    );

    let without_tls = swaks(server, &TO_BOB, &letter("refused"))
        .await
        .with_code(MAIL_REFUSED);
    assert!(without_tls.contains("<** 530 5.7.0 "), "{without_tls}");
    let without_login = swaks(
        server,
        &[&TO_BOB[..], &["--tls"]].concat(),
        &letter("refused"),
    )
    .await
    .with_code(MAIL_REFUSED);
    assert!(without_login.contains(" 530 5.7.0 "), "{without_login}");
    assert_eq!(fleet.recipients("accepted").await, 0);
    fleet.end().await;
}
