//! What to try next: commands that are ready to be pasted.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;

use super::accounts::{CREDENTIALS, People};
use super::configuration::Configuration;
use super::logs::LOG;
use super::state::StateFolder;

/// Another mail server, and someone there.
const OUTSIDE: &str = "mail.example.org";
const STRANGER: &str = "someone@example.org";

/// Where to find what, and what to try.
pub(crate) fn hints(
    configuration: &Configuration,
    people: &People,
    state: &StateFolder,
    database_url: &str,
) -> String {
    let paragraphs = [
        Some(places(configuration, state)),
        configuration
            .submission_address()
            .map(|address| send(address, people)),
        configuration
            .relay_address()
            .map(|address| receive(address, people)),
        Some(look(state, database_url)),
    ];
    let paragraphs: Vec<String> = paragraphs.into_iter().flatten().collect();
    paragraphs.join("\n\n")
}

fn places(configuration: &Configuration, state: &StateFolder) -> String {
    let shown = |address: Option<SocketAddr>| address.map_or("none".into(), |a| a.to_string());
    format!(
        "submission     {} STARTTLS, {} TLS\n\
         relay          {}\n\
         LMTP           {}\n\
         credentials    {}\n\
         mail           {}\n\
         configuration  {}\n\
         log            {} (warnings show here too)",
        shown(configuration.submission_address()),
        shown(configuration.submissions_address()),
        shown(configuration.relay_address()),
        shown(configuration.lmtp_address()),
        state.shown(CREDENTIALS).display(),
        configuration.delivery.maildir.root.display(),
        state.shown("config").display(),
        state.shown(LOG).display(),
    )
}

/// Sending as alice.
fn send(address: SocketAddr, people: &People) -> String {
    let (alice, bob) = (&people.alice.mailbox, &people.bob.mailbox);
    let password = people.alice.password.as_str();
    let (ip, port) = (address.ip(), address.port());
    let message = message(alice, bob, "hello from curl");
    format!(
        "Send from alice to bob:\n\n  \
         {message} | curl --silent --show-error --ssl-reqd --insecure --url smtp://{address} \
         --user '{alice}:{password}' --mail-from {alice} --mail-rcpt {bob} --upload-file -\n\n  \
         swaks --server {ip} --port {port} --tls --auth PLAIN --auth-user {alice} \
         --auth-password {password} --from {alice} --to {bob} --header 'Subject: hello from swaks'",
    )
}

/// Receiving from another server.
fn receive(address: SocketAddr, people: &People) -> String {
    let bob = &people.bob.mailbox;
    let (ip, port) = (address.ip(), address.port());
    let message = message(&STRANGER, bob, "curl from outside");
    format!(
        "Receive from outside, as another mail server would send:\n\n  \
         {message} | curl --silent --show-error --url smtp://{address}/{OUTSIDE} \
         --mail-from {STRANGER} --mail-rcpt {bob} --upload-file -\n\n  \
         swaks --server {ip} --port {port} --helo {OUTSIDE} --from {STRANGER} --to {bob} \
         --header 'Subject: swaks from outside'",
    )
}

/// A command that writes a message.
fn message(from: &impl Display, to: &impl Display, subject: &str) -> String {
    format!(r"printf 'From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nIt works.\r\n'")
}

fn look(state: &StateFolder, database_url: &str) -> String {
    let program = program();
    let state = quoted(state.given());
    format!(
        "Look at the queue, and at the database behind it:\n\n  \
         {program} queue list --state {state}\n\n  \
         psql '{database_url}'"
    )
}

/// How this program is called from here.
fn program() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    quoted(Path::new(&path))
}

/// For a shell.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_the_shell() {
        assert_eq!(
            quoted(Path::new("target/release/chasqui")),
            "target/release/chasqui"
        );
        assert_eq!(quoted(Path::new("it's here")), r"'it'\''s here'");
        assert_eq!(quoted(Path::new("")), "''");
    }
}
