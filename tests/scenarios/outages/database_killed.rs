//! Postgres is killed while mail is in flight: whatever was acknowledged arrives.

use std::collections::BTreeSet;

use testkit::{SmtpTalk, wait_until};

use crate::fleet::{Fleet, letter};

const BEFORE: usize = 40;
const AFTER: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_database_is_killed_and_comes_back() {
    let postgres = testkit::postgres().await;
    let fleet = Fleet::builder()
        .on(postgres.database().await)
        .account("bob")
        .start()
        .await;
    let mut sender = Sender::new(&fleet);
    sender.send_until(BEFORE).await;
    postgres.kill().await;
    // Some are refused now, or lost sight of.
    for _ in 0..5 {
        sender.send().await;
    }
    postgres.start().await;
    sender.send_until(BEFORE + AFTER).await;

    fleet.queue_is_empty().await;
    let mails = fleet.mail_now("bob");
    let subjects = mails.iter().flat_map(|mail| mail.fields("Subject"));
    let arrived: BTreeSet<String> = subjects.collect();
    assert_eq!(
        mails.len(),
        arrived.len(),
        "delivered again is delivered once"
    );
    let lost: Vec<&String> = sender.acknowledged.difference(&arrived).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert!(arrived.is_subset(&sender.sent));
    fleet.end().await;
}

/// Sends messages one after the other, and remembers what became of each.
struct Sender<'a> {
    fleet: &'a Fleet,
    talk: Option<SmtpTalk>,
    sent: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
}

impl<'a> Sender<'a> {
    fn new(fleet: &'a Fleet) -> Self {
        Self {
            fleet,
            talk: None,
            sent: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
        }
    }

    async fn send_until(&mut self, acknowledged: usize) {
        wait_until("messages to be acknowledged", async || {
            self.send().await;
            self.acknowledged.len() >= acknowledged
        })
        .await;
    }

    async fn send(&mut self) {
        let subject = format!("number {}", self.sent.len());
        self.sent.insert(subject.clone());
        let mut talk = match self.talk.take() {
            Some(talk) => talk,
            None => self.fleet.talk().await,
        };
        if let Some(code) = transaction(&mut talk, &subject).await {
            if code == 250 {
                self.acknowledged.insert(subject);
            }
            self.talk = Some(talk);
        }
    }
}

/// One message; the code of its last reply, unless the session ended.
async fn transaction(talk: &mut SmtpTalk, subject: &str) -> Option<u16> {
    let dialogue = [
        "MAIL FROM:<jo@far.test>\r\n".to_owned(),
        "RCPT TO:<bob@example.test>\r\n".to_owned(),
        "DATA\r\n".to_owned(),
        format!("{}.\r\n", letter(subject)),
    ];
    let mut code = 0;
    for words in dialogue {
        if !talk.try_send(words.as_bytes()).await {
            return None;
        }
        code = talk.next_answer().await?.code;
        if code >= 400 {
            talk.command("RSET", 250).await;
            return Some(code);
        }
    }
    Some(code)
}
