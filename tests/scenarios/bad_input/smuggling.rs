//! Only CR LF `.` CR LF ends a message. Whatever else looks like an end, on either port, ends in one refusal: the
//! message that hides behind it is never seen.

use super::in_data;
use crate::fleet::{Fleet, begin_data, end_data, letter};

/// What some servers take for the end of a message.
const FALSE_ENDS: [&str; 9] = [
    "\n.\n",
    "\n.\r\n",
    "\r.\r\n",
    "\r\n.\n",
    "\r\n.\r\r\n",
    "\r.\r",
    "\n.\r",
    "\0\r\n.\r",
    "\r\n\0.\r\n",
];

const SMUGGLED: &str = "MAIL FROM:<admin@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n\
                        From: <admin@example.test>\r\nSubject: smuggled\r\n\r\nsmuggled\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_false_end_hides_no_second_message() {
    let fleet = Fleet::start().await;
    let [mut relay, mut submission] = [fleet.talk().await, fleet.talk_as_alice().await];
    for end in FALSE_ENDS {
        for talk in [&mut relay, &mut submission] {
            begin_data(talk).await;
            let content = format!("{}{end}{SMUGGLED}\r\n.\r\n", letter("cover"));
            talk.send(content.as_bytes()).await;
            let answer = talk.answer().await;
            assert_eq!(answer.code, 554, "{end:?}: {}", answer.text());
            assert!(
                answer.text().starts_with("5.6.0 "),
                "{end:?}: {}",
                answer.text()
            );
            talk.command("NOOP", 250).await;
        }
    }
    for talk in [&mut relay, &mut submission] {
        begin_data(talk).await;
        let answer = end_data(talk, &letter("honest")).await;
        assert_eq!(answer.code, 250, "{}", answer.text());
    }

    let mails = fleet.mail_of("bob", 2).await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("accepted").await, 2);
    for mail in mails {
        assert_eq!(mail.fields("Subject"), ["honest"]);
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bare_line_ends_and_nul_are_refused() {
    let fleet = Fleet::start().await;
    for talk in &mut in_data(&fleet).await {
        for bad in ["bare\nLF", "bare\rCR", "NUL\0"] {
            talk.send(format!("{}{bad}\r\n.\r\n", letter("bad")).as_bytes())
                .await;
            let answer = talk.answer().await;
            assert_eq!(answer.code, 554, "{bad:?}: {}", answer.text());
            begin_data(talk).await;
        }
        let answer = end_data(talk, &letter("good")).await;
        assert_eq!(answer.code, 250, "{}", answer.text());
    }
    fleet.mail_of("bob", 2).await;
    fleet.queue_is_empty().await;
    assert_eq!(fleet.recipients("accepted").await, 2);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_us_ends_nowhere_too_early() {
    let sink = testkit::Sink::start(testkit::Script::new()).await;
    let fleet = Fleet::builder()
        .account("alice")
        .smart_host("*", sink.address())
        .start()
        .await;
    let content = letter("dots") + ".\r\n..\r\n. \r\n.\r\nMAIL FROM:<admin@example.test>\r\n.\r\n";
    fleet.submit(&["jo@far.test"], &content).await;

    let message = sink.wait_for(1).await.remove(0);
    assert!(message.text().ends_with(&content), "{}", message.text());
    fleet.queue_is_empty().await;
    assert_eq!(sink.messages().len(), 1);
    assert_eq!(sink.complaints(), Vec::<String>::new());
    fleet.end().await;
}
