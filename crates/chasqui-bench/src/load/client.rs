//! A lean SMTP client that tells when each thing happened. It waits for every reply, as `smtp-source` does.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long any one reply may take.
const PATIENCE: Duration = Duration::from_secs(60);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A message to send.
#[derive(Debug, Clone)]
pub(crate) struct Letter<'a> {
    /// Reverse-path.
    pub(crate) from: &'a str,
    /// Recipients.
    pub(crate) to: &'a [&'a str],
    /// Distinguishes it: `X-Tag` in its header.
    pub(crate) tag: u64,
    /// Octets, or a little more.
    pub(crate) size: usize,
}

impl Letter<'_> {
    fn content(&self) -> Vec<u8> {
        let Self { from, tag, .. } = self;
        let mut content = format!(
            "From: <{from}>\r\nTo: <{}>\r\nSubject: a measurement\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\
             Message-ID: <{tag}@bench.test>\r\nX-Tag: {tag}\r\n\r\n",
            self.to[0]
        )
        .into_bytes();
        let line = format!("{}\r\n", "X".repeat(78));
        while content.len() < self.size {
            content.extend_from_slice(line.as_bytes());
        }
        content.extend_from_slice(b".\r\n");
        content
    }
}

/// When the client's last octet went, and when the answer had come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    /// Just before the message and its final dot were written.
    pub(crate) dot: Instant,
    /// When 250 was read.
    pub(crate) acknowledged: Instant,
}

/// The server's reply was another than it should be.
#[derive(Debug)]
pub(crate) struct Refused {
    /// How the reply should have begun.
    expected: String,
    /// Its last line.
    pub(crate) reply: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, got {}", self.expected, self.reply)
    }
}

impl std::error::Error for Refused {}

/// A session.
pub(crate) struct Client {
    stream: BufReader<Box<dyn Stream>>,
    line: String,
}

impl Client {
    /// Connects, and says EHLO.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("can't connect to {address}"))?;
        stream.set_nodelay(true)?;
        let mut client = Self::over(Box::new(stream));
        client.reply("2").await.context("no greeting")?;
        client.hello().await?;
        Ok(client)
    }

    /// Goes over to TLS.
    pub(crate) async fn start_tls(mut self, connector: &TlsConnector) -> Result<Self> {
        self.command("STARTTLS", "220").await?;
        let name = ServerName::try_from("localhost")?;
        let stream = connector.connect(name, self.stream.into_inner()).await?;
        let mut client = Self::over(Box::new(stream));
        client.hello().await?;
        Ok(client)
    }

    /// AUTH PLAIN (RFC 4616).
    pub(crate) async fn login(&mut self, user: &str, password: &str) -> Result<()> {
        let response = STANDARD.encode(format!("\0{user}\0{password}"));
        self.command(&format!("AUTH PLAIN {response}"), "235").await
    }

    /// One transaction.
    pub(crate) async fn send(&mut self, letter: &Letter<'_>) -> Result<Taken> {
        self.command(&format!("MAIL FROM:<{}>", letter.from), "250")
            .await?;
        for to in letter.to {
            self.command(&format!("RCPT TO:<{to}>"), "250").await?;
        }
        self.command("DATA", "354").await?;
        let content = letter.content();
        let dot = Instant::now();
        self.write(&content).await?;
        self.reply("250")
            .await
            .context("the message was not taken")?;
        Ok(Taken {
            dot,
            acknowledged: Instant::now(),
        })
    }

    /// QUIT.
    pub(crate) async fn quit(mut self) -> Result<()> {
        self.command("QUIT", "221").await
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        Self {
            stream: BufReader::new(stream),
            line: String::new(),
        }
    }

    async fn hello(&mut self) -> Result<()> {
        self.command("EHLO bench.test", "250").await
    }

    async fn command(&mut self, command: &str, expected: &str) -> Result<()> {
        self.write(format!("{command}\r\n").as_bytes()).await?;
        let verb = command.split(' ').next().unwrap_or_default();
        self.reply(expected)
            .await
            .with_context(|| format!("in answer to {verb}"))
    }

    async fn write(&mut self, octets: &[u8]) -> Result<()> {
        self.stream.write_all(octets).await?;
        Ok(self.stream.flush().await?)
    }

    /// Reads one reply, of however many lines.
    async fn reply(&mut self, expected: &str) -> Result<()> {
        loop {
            self.line.clear();
            let read = self.stream.read_line(&mut self.line);
            let octets = tokio::time::timeout(PATIENCE, read)
                .await
                .context("no answer")??;
            ensure!(octets > 0, "the server closed the connection");
            if self.line.as_bytes().get(3) == Some(&b'-') {
                continue;
            }
            if self.line.starts_with(expected) {
                return Ok(());
            }
            bail!(Refused {
                expected: expected.to_owned(),
                reply: self.line.trim_end().to_owned(),
            });
        }
    }
}
