//! Notifications as another parser reads them.

#![allow(clippy::unwrap_used, clippy::panic)]

use mail_parser::{MessageParser, MimeHeaders, PartType};
use proptest::prelude::*;
use time::macros::datetime;

use super::*;

const ORIGINAL: &[u8] = b"Message-ID: <m1@example.org>\r\nSubject: hi\r\n\r\nbody\r\n";

fn recipient(action: Action) -> FailedRecipient {
    FailedRecipient {
        recipient: "jo@example.net".parse().unwrap(),
        action,
        status: EnhancedStatus::new(5, 1, 1),
        diagnostic: Some(Reply::new(
            550,
            EnhancedStatus::new(5, 1, 1),
            "No such user",
        )),
        remote_mta: Some("mx.example.net".to_owned()),
        last_attempt: Some(datetime!(2026-11-23 10:00:00 UTC)),
        detail: "the recipient was refused".to_owned(),
    }
}

fn build(recipients: &[FailedRecipient], original: Original<'_>) -> String {
    let dsn = Dsn {
        id: "0193-dsn",
        at: datetime!(2026-11-23 10:20:30 UTC),
        from: &"MAILER-DAEMON@mx.example.org".parse().unwrap(),
        to: &"me@example.org".parse().unwrap(),
        reporting_mta: "mx.example.org",
        queue_id: "0193-ab",
        envelope_id: None,
        arrival: datetime!(2026-11-20 09:00:00 UTC),
        recipients,
        original,
    };
    String::from_utf8(dsn.build()).unwrap()
}

fn assert_travels_everywhere(message: &str) {
    assert!(message.is_ascii());
    assert!(message.ends_with("\r\n"));
    for line in message.strip_suffix("\r\n").unwrap().split("\r\n") {
        assert!(line.len() <= 998, "{line}");
        assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
    }
}

/// Content types and texts of the three parts.
fn parts(message: &str) -> Vec<(String, String)> {
    let parsed = MessageParser::new().parse(message).unwrap();
    let root = parsed.root_part();
    let content_type = root.content_type().unwrap();
    assert_eq!(content_type.ctype(), "multipart");
    assert_eq!(content_type.subtype(), Some("report"));
    assert_eq!(
        content_type.attribute("report-type"),
        Some("delivery-status")
    );
    let PartType::Multipart(children) = &root.body else {
        panic!("no multipart: {message}");
    };
    let part = |index: &u32| {
        let part = parsed.part(*index).unwrap();
        let kind = part.content_type().unwrap();
        let name = format!("{}/{}", kind.ctype(), kind.subtype().unwrap());
        let text = match &part.body {
            PartType::Message(inner) => String::from_utf8_lossy(inner.raw_message()).into_owned(),
            _ => String::from_utf8_lossy(part.contents()).into_owned(),
        };
        (name, text)
    };
    children.iter().map(part).collect()
}

#[test]
fn a_failure_reads_as_the_rfcs_ask() {
    let message = build(&[recipient(Action::Failed)], Original::Headers(ORIGINAL));
    assert_travels_everywhere(&message);
    let (header, _) = message.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        header,
        "From: Mail Delivery System <MAILER-DAEMON@mx.example.org>\r\n\
         To: <me@example.org>\r\n\
         Subject: Undelivered mail returned to sender\r\n\
         Date: Mon, 23 Nov 2026 10:20:30 +0000\r\n\
         Message-ID: <0193-dsn@mx.example.org>\r\n\
         In-Reply-To: <m1@example.org>\r\n\
         References: <m1@example.org>\r\n\
         Auto-Submitted: auto-replied\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n\
         \tboundary=\"=_0193-dsn\"\r\n"
            .trim_end()
    );
    let parts = parts(&message);
    let names: Vec<_> = parts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "text/plain",
            "message/delivery-status",
            "text/rfc822-headers"
        ]
    );
    assert_eq!(
        parts[1].1.trim_end(),
        "Reporting-MTA: dns; mx.example.org\r\n\
         X-Chasqui-Queue-Id: 0193-ab\r\n\
         Arrival-Date: Fri, 20 Nov 2026 09:00:00 +0000\r\n\
         \r\n\
         Final-Recipient: rfc822; jo@example.net\r\n\
         Action: failed\r\n\
         Status: 5.1.1\r\n\
         Remote-MTA: dns; mx.example.net\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 No such user\r\n\
         Last-Attempt-Date: Mon, 23 Nov 2026 10:00:00 +0000"
    );
    assert_eq!(
        parts[2].1.trim_end(),
        "Message-ID: <m1@example.org>\r\nSubject: hi"
    );
}

#[test]
fn the_notice_tells_what_happened_and_what_to_do() {
    let message = build(&[recipient(Action::Failed)], Original::Headers(ORIGINAL));
    let notice = &parts(&message)[0].1;
    for words in [
        "This is the mail system at mx.example.org.",
        "It will not be tried again.",
        "<jo@example.net>\r\n    the recipient was refused.\r\n",
        "mx.example.net said: 550 5.1.1 No such user",
        "Check the address for spelling mistakes",
        "give this id: 0193-ab",
    ] {
        assert!(notice.contains(words), "{words} is not in {notice}");
    }
}

#[test]
fn a_delay_is_no_failure() {
    let until = datetime!(2026-11-28 10:00:00 UTC);
    let delayed = recipient(Action::Delayed { until });
    let message = build(&[delayed], Original::Headers(ORIGINAL));
    let parts = parts(&message);
    assert!(message.contains("Subject: Delayed mail (still being tried)\r\n"));
    assert!(parts[0].1.contains("It is being tried again;"));
    assert!(parts[1].1.contains("Action: delayed\r\n"));
    assert!(
        parts[1]
            .1
            .contains("Will-Retry-Until: Sat, 28 Nov 2026 10:00:00 +0000")
    );
}

#[test]
fn without_a_reply_the_diagnostic_is_ours() {
    let expired = FailedRecipient {
        diagnostic: None,
        ..recipient(Action::Expired)
    };
    let report = &parts(&build(&[expired], Original::Headers(ORIGINAL)))[1].1;
    assert!(report.contains("Action: failed\r\n"));
    assert!(report.contains("Diagnostic-Code: X-Chasqui; the recipient was refused\r\n"));
}

#[test]
fn a_long_reply_unfolds_to_what_the_far_end_said() {
    let said = "no such user here, ".repeat(9) + "as I said";
    let reply = Reply::new(550, EnhancedStatus::new(5, 1, 1), &said);
    let refused = FailedRecipient {
        diagnostic: Some(reply),
        ..recipient(Action::Failed)
    };
    let report = &parts(&build(&[refused], Original::Headers(ORIGINAL)))[1].1;
    let unfolded = report.replace("\r\n ", " ");
    assert!(report.lines().all(|line| line.len() <= 78), "{report}");
    assert!(
        unfolded.contains(&format!("Diagnostic-Code: smtp; 550 5.1.1 {said}\r\n")),
        "{report}"
    );
}

#[test]
fn the_original_can_go_back_whole() {
    let message = build(&[recipient(Action::Failed)], Original::Full(ORIGINAL));
    let (name, text) = &parts(&message)[2];
    assert_eq!(name, "message/rfc822");
    assert_eq!(text.trim_end().as_bytes(), ORIGINAL.trim_ascii_end());
}

#[test]
fn an_original_that_holds_the_boundary_cannot_break_out() {
    let original = b"Subject: x\r\n\r\n--=_0193-dsn--\r\n--=_0193-dsn\r\nevil\r\n";
    let message = build(&[recipient(Action::Failed)], Original::Full(original));
    let parts = parts(&message);
    assert_eq!(parts.len(), 3);
    assert!(parts[2].1.contains("--=_0193-dsn--\r\n"));
}

proptest! {
    #[test]
    fn whatever_is_reported_it_travels_and_parses(
        original in prop::collection::vec(any::<u8>(), 0..600),
        full in any::<bool>(),
        words in any::<String>(),
        lines in prop::collection::vec(any::<String>(), 0..4),
        host in any::<String>(),
        count in 1_usize..5,
    ) {
        let mut failed = recipient(Action::Failed);
        failed.detail = words;
        failed.remote_mta = Some(host);
        failed.diagnostic = Some(Reply { code: 550.into(), status: None, lines });
        let original = if full { Original::Full(&original) } else { Original::Headers(&original) };
        let message = build(&vec![failed; count], original);
        assert_travels_everywhere(&message);
        let parts = parts(&message);
        prop_assert_eq!(parts.len(), 3);
        let statuses = parts[1].1.matches("\r\n\r\nFinal-Recipient: ").count();
        prop_assert_eq!(statuses, count);
    }
}
