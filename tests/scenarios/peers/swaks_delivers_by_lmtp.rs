//! swaks delivers straight to the mailboxes, by LMTP.

use super::as_sent::trace_on_top_of;
use super::present::{Peer, present};
use super::swaks::{NO_RECIPIENT_TAKEN, swaks};
use crate::fleet::{Fleet, letter};

const BY_LMTP: [&str; 4] = ["--protocol", "LMTP", "--from", "app@example.test"];

#[tokio::test(flavor = "multi_thread")]
async fn each_recipient_has_an_answer_and_a_copy() {
    if !present(&[Peer::Swaks]) {
        return;
    }
    let fleet = Fleet::start().await;
    let message = letter("by LMTP") + ".a dot\r\n";
    let to = [
        "--to",
        "alice@example.test,bob@example.test,nobody@example.test",
    ];
    let said = swaks(
        fleet.lmtp_address(),
        &[&BY_LMTP[..], &to].concat(),
        &message,
    )
    .await
    .well();
    assert!(said.contains("<** 550 5.1.1 "), "{said}");
    let delivered = said.matches("<-  250 2.1.5 <").count();
    assert_eq!(delivered, 2, "{said}");

    for name in ["alice", "bob"] {
        // The answer comes after the mail.
        let mail = fleet.mail_now(name);
        assert_eq!(mail.len(), 1);
        let trace = trace_on_top_of(message.as_bytes(), &mail[0]);
        assert!(
            trace.starts_with(&format!(
                "Return-Path: <app@example.test>\r\nDelivered-To: {name}@example.test\r\n"
            )),
            "{trace}"
        );
        assert!(trace.contains("with LMTP id"), "{trace}");
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_we_do_not_have_is_refused() {
    if !present(&[Peer::Swaks]) {
        return;
    }
    let fleet = Fleet::start().await;
    for (to, refusal) in [
        ("nobody@example.test", "550 5.1.1"),
        ("jo@far.test", "550 5.7.1"),
    ] {
        let ended = swaks(
            fleet.lmtp_address(),
            &[&BY_LMTP[..], &["--to", to]].concat(),
            &letter("refused"),
        )
        .await;
        let said = ended.with_code(NO_RECIPIENT_TAKEN);
        assert!(said.contains(&format!("<** {refusal} ")), "{said}");
    }
    fleet.end().await;
}
