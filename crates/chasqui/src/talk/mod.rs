//! Talks SMTP as a client that a person waits for.
//!
//! The sessions are those of `smtp::client`. `smtp_net` drives them for mail between servers, where
//! TLS is opportunistic (RFC 7435). A password wants more, a server that proves who it is, and the
//! doctor wants to see its certificate; so this drives them over rustls by itself, blocking, since a
//! command has one thing to do.

mod stream;
mod trust;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use smtp::client::content::Encoder;
use smtp::client::{
    Config, Ending, Event, NotAuthenticated, NotBegun, RecipientResult, Session, Stage, Transaction,
};
use smtp::{Extensions, Reply};
use thiserror::Error;

use self::stream::Stream;
pub(crate) use self::trust::{TrustError, anybody, vouched};

/// Octets read at a time.
const BLOCK: usize = 8 << 10;

/// When the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// Never.
    Plain,
    /// If the server offers STARTTLS.
    Offered,
    /// By STARTTLS, or there is no talk.
    Demanded,
    /// From the first octet (RFC 8314 §3.3).
    Implicit,
}

/// How to talk.
pub(crate) struct Manner {
    /// Dialect, our name and the server's time for each answer.
    pub(crate) session: Config,
    pub(crate) security: Security,
    /// Whose certificate is good enough.
    pub(crate) trust: Arc<ClientConfig>,
    /// How long the TCP handshake may take.
    pub(crate) connect_within: Duration,
}

/// Why there is no talk, or no more.
#[derive(Debug, Error)]
pub(crate) enum TalkError {
    #[error("can't connect")]
    Connect(#[source] io::Error),
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    #[error("the server refused at {stage}: {reply}")]
    Refused { stage: Stage, reply: Reply },
    #[error("the server does not offer STARTTLS")]
    NoStartTls,
    #[error("{ending} at {stage}")]
    Ended { stage: Stage, ending: Ending },
    #[error(transparent)]
    NotAuthenticated(#[from] NotAuthenticated),
    #[error(transparent)]
    NotBegun(#[from] NotBegun),
}

/// A session that is open.
pub(crate) struct Talk {
    stream: Stream,
    session: Session,
    /// For each write of content (RFC 5321 §4.5.3.2.5).
    block_within: Duration,
}

impl Talk {
    /// Connects, and comes to the point where something can be asked. `name` is whom TLS asks for.
    pub(crate) fn open(
        addresses: &[SocketAddr],
        name: &str,
        manner: &Manner,
    ) -> Result<Self, TalkError> {
        let mut stream =
            Stream::connect(addresses, manner.connect_within).map_err(TalkError::Connect)?;
        let timeouts = &manner.session.timeouts;
        let implicit = manner.security == Security::Implicit;
        if implicit {
            let deadline = Instant::now() + timeouts.start_tls;
            let trust = Arc::clone(&manner.trust);
            let secured = tls_name(name).and_then(|name| stream.secure(trust, name, deadline));
            secured.map_err(TalkError::Handshake)?;
        }
        let session = Session::new(manner.session.clone(), implicit, Instant::now());
        let mut talk = Self {
            stream,
            session,
            block_within: timeouts.data_block,
        };
        talk.begin(name, manner)?;
        Ok(talk)
    }

    fn begin(&mut self, name: &str, manner: &Manner) -> Result<(), TalkError> {
        loop {
            match self.next_event()? {
                Event::Ready(extensions) if self.wants_tls(&extensions, manner.security)? => {
                    // Whether it can is what the next event says.
                    let _ = self.session.start_tls(Instant::now());
                }
                Event::Ready(_) => return Ok(()),
                Event::StartTls => {
                    let deadline = self.deadline();
                    let name = tls_name(name).map_err(TalkError::Handshake)?;
                    let trust = Arc::clone(&manner.trust);
                    let secured = self.stream.secure(trust, name, deadline);
                    secured.map_err(TalkError::Handshake)?;
                    self.session.tls_established(Instant::now());
                }
                Event::Refused { stage, reply } => {
                    let is_only_tls = stage == Stage::StartTls && self.session.is_ready();
                    if is_only_tls && manner.security == Security::Offered {
                        return Ok(());
                    }
                    return Err(TalkError::Refused { stage, reply });
                }
                _ => {}
            }
        }
    }

    fn wants_tls(&self, extensions: &Extensions, security: Security) -> Result<bool, TalkError> {
        match security {
            Security::Plain | Security::Implicit => Ok(false),
            _ if self.session.is_tls() => Ok(false),
            _ if extensions.start_tls() => Ok(true),
            Security::Offered => Ok(false),
            Security::Demanded => Err(TalkError::NoStartTls),
        }
    }

    /// The certificate that the server showed; none in plaintext.
    pub(crate) fn certificate(&self) -> Option<CertificateDer<'static>> {
        self.stream.certificate()
    }

    /// Logs in. The session itself sees to it that no password goes out in plaintext.
    pub(crate) fn authenticate(&mut self, login: &str, password: &str) -> Result<(), TalkError> {
        self.session.authenticate(login, password, Instant::now())?;
        loop {
            match self.next_event()? {
                Event::Authenticated => return Ok(()),
                Event::Refused { stage, reply } => return Err(TalkError::Refused { stage, reply }),
                _ => {}
            }
        }
    }

    /// Sends a message. The results are in the order of the recipients.
    pub(crate) fn send(
        &mut self,
        transaction: &Transaction<'_>,
        content: Encoder,
    ) -> Result<Vec<RecipientResult>, TalkError> {
        self.session.begin(transaction, Instant::now())?;
        let mut content = Some(content);
        loop {
            match self.next_event()? {
                Event::SendContent => self.send_content(content.take()),
                Event::TransactionDone(done) => return Ok(done.recipients),
                _ => {}
            }
        }
    }

    fn send_content(&mut self, content: Option<Encoder>) {
        for chunk in content.into_iter().flatten() {
            let deadline = Instant::now() + self.block_within;
            if self.stream.write_all(&chunk, deadline).is_err() {
                // What the server had to say about it is still read.
                self.hear(Instant::now() + self.block_within);
                return self.session.disconnected();
            }
        }
        self.session.content_sent(Instant::now());
    }

    /// Takes leave. How the server takes it is of no interest.
    pub(crate) fn quit(mut self) {
        self.session.quit(Instant::now());
        while self.next_event().is_ok() {}
    }

    /// What happens next; the end of the session is an error here.
    fn next_event(&mut self) -> Result<Event, TalkError> {
        loop {
            match self.session.next_event() {
                Some(Event::Closed { stage, ending }) => {
                    return Err(TalkError::Ended { stage, ending });
                }
                Some(event) => return Ok(event),
                None if self.session.is_closed() => {
                    let ending = Ending::Disconnected;
                    let stage = self.session.stage();
                    return Err(TalkError::Ended { stage, ending });
                }
                None => self.exchange(),
            }
        }
    }

    fn exchange(&mut self) {
        let deadline = self.deadline();
        let output = self.session.take_output();
        let written = output.is_empty() || self.stream.write_all(&output, deadline).is_ok();
        self.hear(deadline);
        if !written {
            self.session.disconnected();
        }
    }

    fn hear(&mut self, deadline: Instant) {
        let mut block = [0; BLOCK];
        match self.stream.read(&mut block, deadline) {
            Ok(0) => self.session.disconnected(),
            Ok(length) => {
                let octets = block.get(..length).unwrap_or_default();
                self.session.feed(octets, Instant::now());
            }
            // A socket's timeout is told as either.
            Err(error) if is_overdue(&error) => {
                self.session.timed_out(deadline);
                // It has no deadline of its own while content is written.
                self.session.disconnected();
            }
            Err(_) => self.session.disconnected(),
        }
    }

    fn deadline(&self) -> Instant {
        let deadline = self.session.deadline();
        deadline.unwrap_or_else(|| Instant::now() + self.block_within)
    }
}

fn is_overdue(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

fn tls_name(name: &str) -> io::Result<ServerName<'static>> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(ServerName::IpAddress(address.into()));
    }
    let name = name.trim_end_matches('.').to_owned();
    ServerName::try_from(name).map_err(io::Error::other)
}
