//! Mailboxes of the fleet, as a mail program would find them.

use std::path::PathBuf;

use message::header::Header;
use testkit::wait_until;

use super::{DOMAIN, Fleet};

/// A message in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mail {
    /// The file, octet for octet.
    pub(crate) bytes: Vec<u8>,
}

impl Mail {
    /// All of it as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The values of all fields of a name, from the top.
    pub(crate) fn fields(&self, name: &'static str) -> Vec<String> {
        Header::of(&self.bytes)
            .named(name)
            .map(|field| String::from_utf8_lossy(&field.unfolded()).into_owned())
            .collect()
    }

    /// The names of all fields, from the top.
    pub(crate) fn field_names(&self) -> Vec<String> {
        Header::of(&self.bytes)
            .fields()
            .map(|field| String::from_utf8_lossy(field.name()).into_owned())
            .collect()
    }

    /// Whether this is a notification that says all of these.
    pub(crate) fn assert_reports(&self, words: &[&str]) {
        let text = self.text();
        assert!(text.contains("multipart/report"), "no report: {text}");
        assert_eq!(self.fields("Return-Path"), ["<>"]);
        for word in words {
            assert!(text.contains(word), "{word} is not in {text}");
        }
    }
}

impl Fleet {
    /// Waits until a mailbox has so many messages, and returns all that it has, oldest first.
    pub(crate) async fn mail_of(&self, name: &str, count: usize) -> Vec<Mail> {
        let what = format!("{count} messages for {name}");
        wait_until(&what, async || self.mail_now(name).len() >= count).await;
        self.mail_now(name)
    }

    /// Waits for a mailbox's first message and returns it.
    pub(crate) async fn first_mail_of(&self, name: &str) -> Mail {
        self.mail_of(name, 1).await.remove(0)
    }

    /// What a mailbox has at this moment, oldest first.
    pub(crate) fn mail_now(&self, name: &str) -> Vec<Mail> {
        self.mail_at(DOMAIN, name)
    }

    /// What a mailbox at a domain has at this moment, oldest first.
    pub(crate) fn mail_at(&self, domain: &str, name: &str) -> Vec<Mail> {
        let folder = self.folder.path().join("mail").join(domain).join(name);
        let Ok(entries) = std::fs::read_dir(folder.join("new")) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let mail = |file: &PathBuf| Mail {
            bytes: std::fs::read(file).unwrap(),
        };
        files.iter().map(mail).collect()
    }
}
