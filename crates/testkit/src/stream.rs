//! A connection in plain or TLS, read line by line.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// How long the other side may take to end a connection after us.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(buffer).await,
            Self::Tls(stream) => stream.read_buf(buffer).await,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        }
    }
}

/// A stream, and what was read ahead of it.
#[derive(Debug)]
pub(crate) struct Lines {
    stream: Stream,
    buffer: BytesMut,
}

impl Lines {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
        }
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Whether more has been read than was asked for.
    pub(crate) fn has_read_ahead(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next line without its CRLF, as text; `None` at the end of the stream.
    pub(crate) async fn line(&mut self) -> io::Result<Option<String>> {
        Ok(self.until(b"\r\n").await?.map(|line| text(&line)))
    }

    /// What comes before `end`, which is taken off; `None` if the stream ends before.
    pub(crate) async fn until(&mut self, end: &[u8]) -> io::Result<Option<BytesMut>> {
        let mut seen = 0;
        loop {
            let found = self.buffer[seen..]
                .windows(end.len())
                .position(|window| window == end);
            if let Some(position) = found {
                let before = self.buffer.split_to(seen + position);
                self.buffer.advance(end.len());
                return Ok(Some(before));
            }
            seen = self.buffer.len().saturating_sub(end.len() - 1);
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads what comes; 0 at the end of the stream.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        self.stream.read(&mut self.buffer).await
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write(bytes).await
    }

    /// Ends our side, then waits a moment for the other: closing with bytes unread would reset the
    /// connection, and take away what was said last.
    pub(crate) async fn finish(&mut self) {
        let end = async {
            self.stream.shutdown().await?;
            while self.fill().await? > 0 {
                self.buffer.clear();
            }
            io::Result::Ok(())
        };
        let _ = tokio::time::timeout(FINISH_TIMEOUT, end).await;
    }

    /// The plain connection, to begin TLS on it; what was read ahead is dropped.
    pub(crate) fn into_plain(self) -> Option<TcpStream> {
        match self.stream {
            Stream::Plain(stream) => Some(stream),
            Stream::Tls(_) => None,
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
