//! A service that answers every question at once, by rule or as told, and keeps a log.

use std::collections::HashMap;

use bytes::BytesMut;
use smtp::server::{Event, Session};
use smtp::{EnhancedStatus, Envelope, ForwardPath, Reply};

/// Answers questions and notes what it heard.
#[derive(Default)]
pub struct Service {
    /// Answers to give in place of the usual one, by the name of the question, each once.
    pub answers: HashMap<String, Vec<Vec<Reply>>>,
    /// Gives up the next content that it hears of.
    pub reject_content: Option<Reply>,
    /// What happened, but for questions whose reply shows them.
    pub log: Vec<String>,
    content: BytesMut,
}

impl Service {
    /// Hears all events that there are.
    pub fn drive(&mut self, session: &mut Session) {
        while let Some(event) = session.next_event() {
            self.hear(session, event);
        }
    }

    fn hear(&mut self, session: &mut Session, event: Event) {
        match event {
            Event::Content(piece) => {
                self.content.extend_from_slice(&piece);
                if let Some(reply) = self.reject_content.take() {
                    self.content.clear();
                    session.reject_content(reply);
                }
            }
            Event::ContentEnd(envelope) => {
                let usual = vec![self.accept(&envelope); envelope.recipients.len()];
                session.answer_each(self.told("content").unwrap_or(usual));
            }
            Event::ContentRejected => self.drop_content("ContentRejected"),
            Event::Reset => self.drop_content("Reset"),
            Event::StartTls => self.log.push("StartTls".to_owned()),
            Event::Close => self.log.push("Close".to_owned()),
            question => self.answer(session, &question),
        }
    }

    fn answer(&mut self, session: &mut Session, question: &Event) {
        let (name, usual) = match question {
            Event::Greet => ("greet", reply(220, "", "ESMTP")),
            Event::Hello(_) => ("hello", reply(250, "", "at your service")),
            Event::Auth(credentials) => {
                self.log.push(format!(
                    "Auth {} {} {}",
                    credentials.authorization_id.as_deref().unwrap_or("-"),
                    credentials.login,
                    credentials.password.as_str()
                ));
                match credentials.password.as_str() {
                    "secret" => ("auth", reply(235, "2.7.0", "Welcome")),
                    _ => ("auth", reply(535, "5.7.8", "Bad credentials")),
                }
            }
            Event::Mail(_) => ("mail", reply(250, "2.1.0", "Sender OK")),
            Event::Rcpt(recipient) => ("rcpt", rcpt(&recipient.path)),
            Event::Vrfy(_) => ("vrfy", reply(252, "2.0.0", "Try it")),
            Event::Data => ("data", Reply::start_mail_input()),
            other => panic!("not a question: {other:?}"),
        };
        let told = self
            .told(name)
            .and_then(|replies| replies.into_iter().next());
        session.answer(told.unwrap_or(usual));
    }

    /// The answer that it was told to give, if any is left.
    fn told(&mut self, name: &str) -> Option<Vec<Reply>> {
        self.answers
            .get_mut(name)
            .filter(|told| !told.is_empty())
            .map(|told| told.remove(0))
    }

    fn accept(&mut self, envelope: &Envelope) -> Reply {
        let content = self.content.split();
        let mut line = format!("Message {}", envelope.reverse_path);
        for recipient in &envelope.recipients {
            line.push_str(&format!(" {}", recipient.path));
        }
        self.log
            .push(format!("{line} \"{}\"", content.escape_ascii()));
        reply(250, "2.0.0", "Accepted")
    }

    fn drop_content(&mut self, event: &str) {
        self.content.clear();
        self.log.push(event.to_owned());
    }
}

fn rcpt(path: &ForwardPath) -> Reply {
    match path.mailbox().map(|mailbox| mailbox.local_part().as_str()) {
        Some("nobody") => reply(550, "5.1.1", "No such user"),
        _ => reply(250, "2.1.5", "Recipient OK"),
    }
}

/// A reply whose status may be empty.
pub fn reply(code: u16, status: &str, text: &str) -> Reply {
    Reply::new(code, status.parse::<EnhancedStatus>().ok(), text)
}
