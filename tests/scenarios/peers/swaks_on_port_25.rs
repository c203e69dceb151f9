//! swaks speaks with the relay.

use super::as_sent::trace_on_top_of;
use super::present::{Peer, present};
use super::swaks::{NO_RECIPIENT_TAKEN, swaks};
use crate::fleet::{Fleet, letter};

#[tokio::test(flavor = "multi_thread")]
async fn mail_for_our_users_is_taken_by_every_way() {
    if !present(&[Peer::Swaks]) {
        return;
    }
    let fleet = Fleet::start().await;
    let ways = [
        ("ESMTP", &[][..]),
        ("SMTP", &["--protocol", "SMTP"]),
        ("ESMTPS", &["--tls"]),
        ("ESMTPS", &["--tls", "--tls-protocol", "tlsv1_2"]),
        ("ESMTP", &["--pipeline"]),
    ];
    for (number, (protocol, way)) in ways.into_iter().enumerate() {
        let message = letter(&format!("way {number}"));
        let to = ["--from", "jo@far.test", "--to", "bob@example.test"];
        swaks(fleet.relay_address(), &[&to, way].concat(), &message)
            .await
            .well();

        let mail = fleet.mail_of("bob", number + 1).await;
        let mail = mail
            .iter()
            .find(|mail| mail.text().contains(&message))
            .unwrap();
        trace_on_top_of(message.as_bytes(), mail);
        let received = mail.fields("Received").remove(0);
        assert!(
            received.contains(&format!("with {protocol} id")),
            "{way:?}: {received}"
        );
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_for_others_is_refused() {
    if !present(&[Peer::Swaks]) {
        return;
    }
    let fleet = Fleet::start().await;
    for (to, refusal) in [
        ("jo@far.test", "550 5.7.1"),
        ("nobody@example.test", "550 5.1.1"),
    ] {
        let ended = swaks(
            fleet.relay_address(),
            &["--from", "jo@far.test", "--to", to],
            &letter("refused"),
        )
        .await;
        let said = ended.with_code(NO_RECIPIENT_TAKEN);
        assert!(said.contains(&format!("<** {refusal} ")), "{said}");
    }
    fleet.end().await;
}
