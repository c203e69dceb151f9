//! A client that says what it is told to. It blocks: tests run on several threads.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::certificate::HOST;

/// Ample for a busy machine; a reply that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// One end of a session.
pub(crate) struct Client {
    stream: BufReader<Box<dyn Stream>>,
    /// A handle on the socket, while it is in plaintext.
    plain: Option<TcpStream>,
}

impl Client {
    /// Connects, without reading the greeting.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            plain: Some(socket.try_clone().unwrap()),
            stream: BufReader::new(Box::new(socket)),
        }
    }

    /// The handshake, now.
    pub(crate) fn into_tls(self, config: &Arc<ClientConfig>) -> Self {
        let socket = self.plain.unwrap();
        let name = HOST.try_into().unwrap();
        let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        let stream = StreamOwned::new(connection, socket);
        Self {
            plain: None,
            stream: BufReader::new(Box::new(stream)),
        }
    }

    /// Says it all in one write.
    pub(crate) fn say(&mut self, words: impl AsRef<[u8]>) {
        let stream = self.stream.get_mut();
        stream.write_all(words.as_ref()).unwrap();
        stream.flush().unwrap();
    }

    /// One whole reply, perhaps of several lines.
    pub(crate) fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            self.stream.read_line(&mut reply).unwrap();
            let line = &reply[start..];
            assert!(line.ends_with("\r\n"), "closed after {reply:?}");
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
        }
    }

    /// The next reply must start so.
    #[track_caller]
    pub(crate) fn expect(&mut self, start: &str) -> String {
        let reply = self.reply();
        assert!(reply.starts_with(start), "{reply:?} is no {start}");
        reply
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, command: &str, start: &str) -> String {
        self.say(format!("{command}\r\n"));
        self.expect(start)
    }

    /// The other side must close without another word.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let mut rest = Vec::new();
        // A reset, or an end of TLS without notice, is an end.
        let _ = self.stream.read_to_end(&mut rest);
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    /// Gets as far as the final dot, and gives the reply to it.
    #[track_caller]
    pub(crate) fn submit(&mut self, sender: &str, recipients: &[&str], content: &str) -> String {
        self.ask(&format!("MAIL FROM:<{sender}>"), "250 2.1.0");
        for recipient in recipients {
            self.ask(&format!("RCPT TO:<{recipient}>"), "250 2.1.5");
        }
        self.ask("DATA", "354");
        self.say(format!("{content}.\r\n"));
        self.reply()
    }
}
