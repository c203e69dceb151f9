//! What holds whatever is sent, whatever is answered, and however the wires cut it.

use bytes::Bytes;
use proptest::prelude::*;
use smtp::client::RecipientResult;
use smtp::server::Config;
use smtp::{Dialect, Reply};

use crate::CONTENT;
use crate::harness::{Message, Pair, Plan, Policy, ended_by_quit, mailbox, reply, smtp_server};

/// Content with line ends in order, dots where they hurt, in any number of parts.
fn content() -> impl Strategy<Value = Vec<Bytes>> {
    let piece = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b".".to_vec()),
        Just(b"\r\n.\r\n".to_vec()),
        Just(vec![b'x'; 1_500]),
        prop::collection::vec(any::<u8>(), 0..30),
    ];
    let whole =
        prop::collection::vec(piece, 0..60).prop_map(|pieces| with_line_ends(&pieces.concat()));
    (
        whole,
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    )
        .prop_map(|(whole, cuts)| {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).collect();
            cuts.extend([0, whole.len()]);
            cuts.sort_unstable();
            let whole = Bytes::from(whole);
            cuts.windows(2)
                .map(|cut| whole.slice(cut[0]..cut[1]))
                .collect()
        })
}

/// Every CR and LF becomes CR LF, and every NUL a space.
fn with_line_ends(octets: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut octets = octets.iter().peekable();
    while let Some(octet) = octets.next() {
        match octet {
            b'\r' => {
                octets.next_if_eq(&&b'\n');
                content.extend(b"\r\n");
            }
            b'\n' => content.extend(b"\r\n"),
            0 => content.push(b' '),
            other => content.push(*other),
        }
    }
    content
}

/// What a server says, to whom.
#[derive(Clone, Debug)]
struct Service {
    dialect: Dialect,
    pipelining: bool,
    mail: u16,
    /// One for each recipient.
    rcpt: Vec<u16>,
    data: u16,
    /// One for each recipient.
    accept: Vec<u16>,
}

/// LMTP comes with PIPELINING (RFC 2033 §4.2): there is no HELO to turn it off.
fn service() -> impl Strategy<Value = Service> {
    let dialects = [
        (Dialect::Smtp, true),
        (Dialect::Smtp, false),
        (Dialect::Lmtp, true),
    ];
    let codes = |codes: &[u16]| prop::sample::select(codes.to_vec());
    let rcpt = codes(&[250, 250, 251, 450, 452, 550, 552, 421]);
    let accept = codes(&[250, 250, 250, 451, 554, 421]);
    (
        prop::sample::select(dialects.to_vec()),
        codes(&[250, 250, 250, 451, 550, 421]),
        prop::collection::vec((rcpt, accept), 1..8),
        codes(&[354, 354, 354, 451, 554, 421]),
    )
        .prop_map(|((dialect, pipelining), mail, recipients, data)| {
            let (rcpt, accept) = recipients.into_iter().unzip();
            Service {
                dialect,
                pipelining,
                mail,
                rcpt,
                data,
                accept,
            }
        })
}

impl Service {
    fn recipients(&self) -> Vec<String> {
        let numbers = 0..self.rcpt.len();
        numbers.map(|n| format!("{n}@example.net")).collect()
    }

    fn policy(&self) -> Policy {
        let (rcpt, accept) = (self.rcpt.clone(), self.accept.clone());
        let ehlo = if self.pipelining {
            Reply::new(250, None, "server")
        } else {
            reply(502, (5, 5, 1), "what?")
        };
        Policy {
            ehlo,
            mail: Reply::new(self.mail, None, "mail"),
            rcpt: Box::new(move |to| Reply::new(rcpt[number(to)], None, "rcpt")),
            data: Reply::new(self.data, None, "data"),
            accept: Box::new(move |to| Reply::new(accept[number(to)], None, "accept")),
            ..Policy::default()
        }
    }

    /// For whom the server has said that it took a message.
    fn taken(&self, recipients: &[String]) -> Vec<String> {
        let code = |to: &String| match self.dialect {
            Dialect::Smtp => self.accept[number(&recipients[0])],
            Dialect::Lmtp => self.accept[number(to)],
        };
        recipients
            .iter()
            // Whatever follows a 421, the session is over.
            .take_while(|to| code(to) != 421)
            .filter(|to| code(to) == 250)
            .cloned()
            .collect()
    }
}

fn number(recipient: &str) -> usize {
    recipient.split('@').next().unwrap().parse().unwrap()
}

/// Who has the message, according to the client.
fn accepted(pair: &Pair, mut recipients: Vec<String>) -> Vec<String> {
    let mut accepted = Vec::new();
    for result in &pair.results {
        assert_eq!(result.recipients.len(), recipients.len());
        let mut next = Vec::new();
        for (to, result) in recipients.into_iter().zip(&result.recipients) {
            match result {
                RecipientResult::Accepted(_) => accepted.push(to),
                RecipientResult::TooManyRecipients(_) => next.push(to),
                _ => {}
            }
        }
        recipients = next;
    }
    accepted
}

proptest! {
    /// Whatever is sent is received, octet for octet, however the wires cut it.
    #[test]
    fn content_arrives_as_it_is(parts in content(), chunk in 1_usize..5_000) {
        let mut expected = parts.concat();
        if !expected.is_empty() && !expected.ends_with(b"\r\n") {
            expected.extend(b"\r\n");
        }
        let mut message = Message::new(&["a@example.net"], b"");
        message.content = parts;
        let plan = Plan { chunk, messages: vec![message], ..Plan::default() };
        let mut pair = Pair::new(smtp_server(), Policy::default(), plan);
        pair.run();
        prop_assert_eq!(pair.received.len(), 1);
        prop_assert!(pair.received[0].content == expected);
        prop_assert_eq!(pair.accepted(), [true]);
        prop_assert!(ended_by_quit(&pair));
    }

    /// Whatever a server says to whom, both sides agree about who got the message.
    #[test]
    fn both_sides_agree_who_has_the_message(service in service(), chunk in 1_usize..200) {
        let recipients = service.recipients();
        let mut message = Message::new(&[], CONTENT);
        message.recipients = recipients.iter().map(|to| mailbox(to)).collect();
        let plan = Plan { chunk, messages: vec![message], ..Plan::default() };
        let config = Config::new(service.dialect, "server.example.net");
        let mut pair = Pair::new(config, service.policy(), plan);
        pair.run();
        let received = pair.received.iter();
        let taken: Vec<String> = received.flat_map(|m| service.taken(&m.recipients)).collect();
        prop_assert_eq!(accepted(&pair, recipients), taken);
    }
}
