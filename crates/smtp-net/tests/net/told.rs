//! A client that says what it is told to, over plaintext or TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificates::HOST;
use crate::soon;

/// One end of a conversation in lines.
pub(crate) struct Told<S> {
    pub(crate) stream: S,
    unread: Vec<u8>,
}

impl Told<TcpStream> {
    /// Connects, without reading the greeting.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(soon(TcpStream::connect(address)).await.unwrap())
    }

    /// Connects, and gets as far as MAIL.
    pub(crate) async fn introduced(address: SocketAddr) -> Self {
        let mut client = Self::connect(address).await;
        client.expect("220").await;
        client.ask("EHLO client.example.net", "250").await;
        client
    }

    /// The handshake, now.
    pub(crate) async fn into_tls(self, config: Arc<ClientConfig>) -> Told<TlsStream<TcpStream>> {
        assert!(self.unread.is_empty(), "plaintext before the handshake");
        let name = HOST.try_into().unwrap();
        let handshake = TlsConnector::from(config).connect(name, self.stream);
        Told::over(soon(handshake).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Told<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Says it all in one write.
    pub(crate) async fn say(&mut self, words: &str) {
        soon(self.stream.write_all(words.as_bytes())).await.unwrap();
        soon(self.stream.flush()).await.unwrap();
    }

    /// One whole reply, perhaps of several lines.
    pub(crate) async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let line = self.line().await;
            let is_last = line.as_bytes().get(3) != Some(&b'-');
            reply.push_str(&line);
            if is_last {
                return reply;
            }
        }
    }

    /// The next reply must start so.
    pub(crate) async fn expect(&mut self, start: &str) -> String {
        let reply = self.reply().await;
        assert!(reply.starts_with(start), "{reply:?} is no {start}");
        reply
    }

    pub(crate) async fn ask(&mut self, command: &str, start: &str) -> String {
        self.say(&format!("{command}\r\n")).await;
        self.expect(start).await
    }

    /// The other side must close, in order, without another word.
    pub(crate) async fn expect_end(&mut self) {
        let mut rest = std::mem::take(&mut self.unread);
        soon(self.stream.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    /// One line, with its end.
    pub(crate) async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line = self.unread.drain(..=end).collect();
                return String::from_utf8(line).unwrap();
            }
            let mut buffer = [0; 4096];
            let read = soon(self.stream.read(&mut buffer)).await.unwrap();
            assert_ne!(read, 0, "closed after {:?}", self.unread);
            self.unread.extend_from_slice(&buffer[..read]);
        }
    }
}
