//! A client that says exactly what it is told to, well-formed or not.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::stream::{Lines, Stream};
use crate::tls;
use crate::wait::DEADLINE;

/// A reply: its code, and each line's text without the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The three digits.
    pub code: u16,
    /// The lines.
    pub lines: Vec<String>,
}

impl Answer {
    /// All lines in one.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.join(" / ")
    }
}

/// A connection to an SMTP or LMTP server.
#[derive(Debug)]
pub struct SmtpTalk {
    lines: Lines,
    said: String,
}

impl SmtpTalk {
    /// Connects. The greeting is yet to be read.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(Stream::Plain(tcp(address).await))
    }

    /// Connects in TLS from the first byte. The greeting is yet to be read.
    pub async fn connect_tls(address: SocketAddr) -> Self {
        let stream = tls::connect(tcp(address).await, "localhost").await;
        Self::over(stream.unwrap_or_else(|error| panic!("no TLS with {address}: {error}")))
    }

    /// Connects, reads the greeting and says EHLO.
    pub async fn hello(address: SocketAddr) -> Self {
        let mut talk = Self::connect(address).await;
        talk.expect(220).await;
        talk.command("EHLO client.test", 250).await;
        talk
    }

    fn over(stream: Stream) -> Self {
        Self {
            lines: Lines::new(stream),
            said: "nothing".to_owned(),
        }
    }

    /// Says a line, and returns the reply, whatever it is.
    pub async fn ask(&mut self, line: &str) -> Answer {
        self.say(line).await;
        self.answer().await
    }

    /// Says a line, and expects a code.
    pub async fn command(&mut self, line: &str, code: u16) -> Answer {
        self.say(line).await;
        self.expect(code).await
    }

    /// Says a line.
    pub async fn say(&mut self, line: &str) {
        self.send(format!("{line}\r\n").as_bytes()).await;
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// When the connection is broken.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.said = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        let sent = timeout(DEADLINE, self.lines.write(bytes)).await;
        let sent = sent.unwrap_or_else(|_| panic!("can't send, nobody reads: {:?}", self.said));
        sent.unwrap_or_else(|error| panic!("can't send {:?}: {error}", self.said));
    }

    /// Sends bytes that the other side may no longer want.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(DEADLINE, self.lines.write(bytes)).await, Ok(Ok(())))
    }

    /// Reads a reply of this code.
    ///
    /// # Panics
    /// When it has another one, or the connection ends.
    pub async fn expect(&mut self, code: u16) -> Answer {
        let answer = self.answer().await;
        assert_eq!(answer.code, code, "{} after {:?}", answer.text(), self.said);
        answer
    }

    /// Reads a reply.
    ///
    /// # Panics
    /// When none comes.
    pub async fn answer(&mut self) -> Answer {
        match self.next_answer().await {
            Some(answer) => answer,
            None => panic!("the connection ended after {:?}", self.said),
        }
    }

    /// Reads a reply; `None` when the connection ends instead.
    pub async fn next_answer(&mut self) -> Option<Answer> {
        let mut lines = Vec::new();
        loop {
            let line = timeout(DEADLINE, self.lines.line()).await;
            let line = line.unwrap_or_else(|_| panic!("no reply came after {:?}", self.said));
            let line = line.ok().flatten()?;
            let parts = line
                .split_at_checked(3)
                .map(|(code, rest)| (code.parse(), rest));
            let Some((Ok(code), rest)) = parts else {
                panic!("{line:?} is no reply, after {:?}", self.said);
            };
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if !rest.starts_with('-') {
                return Some(Answer { code, lines });
            }
        }
    }

    /// Reads until the connection ends, and returns the replies that came before that.
    pub async fn expect_end(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        while let Some(answer) = self.next_answer().await {
            answers.push(answer);
        }
        answers
    }

    /// Makes sure that nothing is said for a while.
    pub async fn expect_silence(&mut self, time: Duration) {
        if let Ok(answer) = timeout(time, self.next_answer()).await {
            panic!("silence was due after {:?}, not {answer:?}", self.said);
        }
    }

    /// Changes over to TLS: STARTTLS, its reply, and the handshake.
    #[must_use]
    pub async fn starttls(mut self) -> Self {
        self.command("STARTTLS", 220).await;
        self.handshake().await
    }

    /// The handshake alone.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub async fn handshake(self) -> Self {
        let plain = self.lines.into_plain().unwrap();
        let stream = tls::connect(plain, "localhost").await;
        Self::over(stream.unwrap_or_else(|error| panic!("no TLS after STARTTLS: {error}")))
    }

    /// AUTH PLAIN (RFC 4616), and expects a code.
    pub async fn login(&mut self, name: &str, password: &str, code: u16) -> Answer {
        let response = STANDARD.encode(format!("\0{name}\0{password}"));
        self.command(&format!("AUTH PLAIN {response}"), code).await
    }

    /// A whole transaction, and the reply to its final dot. The content ends with CRLF, and is sent
    /// with the dots that the wire wants.
    pub async fn send_message(&mut self, from: &str, to: &[&str], content: &str) -> Answer {
        self.command(&format!("MAIL FROM:<{from}>"), 250).await;
        for recipient in to {
            self.command(&format!("RCPT TO:<{recipient}>"), 250).await;
        }
        self.command("DATA", 354).await;
        let stuffed = content.replace("\r\n.", "\r\n..");
        let first = if content.starts_with('.') { "." } else { "" };
        self.send(format!("{first}{stuffed}.\r\n").as_bytes()).await;
        self.answer().await
    }
}

async fn tcp(address: SocketAddr) -> TcpStream {
    let stream = timeout(DEADLINE, TcpStream::connect(address)).await;
    let stream = stream.unwrap_or_else(|_| panic!("no answer from {address}"));
    let stream = stream.unwrap_or_else(|error| panic!("can't connect to {address}: {error}"));
    stream.set_nodelay(true).unwrap();
    stream
}
