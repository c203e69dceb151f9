//! Logging in: AUTH PLAIN, within TLS (RFC 4954, RFC 4616).

use std::fmt;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Event, Session, State};
use crate::client::{Ending, NotAuthenticated, NotReady, ProtocolError, Stage};
use crate::extension::Mechanism;
use crate::reply::{Reply, ReplyCode};

/// Longest command line, in octets with its CR LF (RFC 5321 §4.5.3.1.4). A response that doesn't
/// fit waits for the server's challenge (RFC 4954 §4).
const MAX_COMMAND: usize = 512;

/// A line that bears a password. Wiped from memory on drop; what is written is the driver's.
pub(super) struct Response(Zeroizing<String>);

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Session {
    /// Logs in with PLAIN, when the session is ready and in TLS. Leads to
    /// [`Event::Authenticated`], or to [`Event::Refused`] at [`Stage::Auth`], which leaves the
    /// session ready.
    ///
    /// # Errors
    /// Any [`NotAuthenticated`], with nothing written and the session as it was.
    pub fn authenticate(
        &mut self,
        login: &str,
        password: &str,
        now: Instant,
    ) -> Result<(), NotAuthenticated> {
        if !self.is_ready() {
            return Err(NotReady.into());
        }
        if !self.tls {
            return Err(NotAuthenticated::InPlaintext);
        }
        if !self.extensions.mechanism(Mechanism::Plain) {
            return Err(NotAuthenticated::NoPlain);
        }
        let message = Zeroizing::new(format!("\0{login}\0{password}"));
        let response = Zeroizing::new(format!("{}\r\n", STANDARD.encode(message.as_bytes())));
        self.output.extend_from_slice(b"AUTH PLAIN");
        let later = if "AUTH PLAIN ".len() + response.len() <= MAX_COMMAND {
            self.output.extend_from_slice(b" ");
            self.output.extend_from_slice(response.as_bytes());
            None
        } else {
            self.output.extend_from_slice(b"\r\n");
            Some(Response(response))
        };
        self.enter(State::Auth(later), now);
        Ok(())
    }

    pub(super) fn answer_auth(&mut self, reply: Reply, now: Instant) {
        let State::Auth(later) = &mut self.state else {
            return;
        };
        if reply.code.is_positive_completion() {
            self.enter(State::Ready, now);
            self.events.push_back(Event::Authenticated);
        } else if reply.code == ReplyCode::CHALLENGE
            && let Some(Response(response)) = later.take()
        {
            self.output.extend_from_slice(response.as_bytes());
            self.wait_for_server(now);
        } else if reply.code.is_transient() || reply.code.is_permanent() {
            self.enter(State::Ready, now);
            self.refused(Stage::Auth, reply);
        } else {
            self.end(Ending::Protocol(ProtocolError::Unexpected(reply)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Config;
    use crate::domain::Domain;

    #[test]
    fn the_password_stays_out_of_debug_output() {
        let now = Instant::now();
        let hello_name = Domain::parse("client.example.org").unwrap();
        for length in [6, 600] {
            let mut session = Session::new(Config::new(hello_name.clone()), true, now);
            session.feed(b"220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n", now);
            let password = "x".repeat(length);
            session.authenticate("", &password, now).unwrap();
            let shown = format!("{session:?}");
            // Three octets of password are four of base64.
            assert!(!shown.contains("eHh4") && !shown.contains("xxx"), "{shown}");
        }
    }
}
