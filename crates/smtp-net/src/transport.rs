//! Octets over TCP, in plain or in TLS.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// Octets read at once.
const READ_SIZE: usize = 32 * 1024;

thread_local! {
    /// What is read lies here only until it is fed: a connection that waits holds no buffer.
    static READ_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// A handshake failed and took the connection with it.
    Lost,
}

impl Transport {
    /// Feeds what has arrived, all at once; returns how much that was, zero at the end of the
    /// stream. An end without close_notify is an end like any other: what SMTP says is
    /// self-delimiting, and nothing that is cut off counts.
    pub(crate) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        feed: &mut impl FnMut(&[u8]),
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => poll_receive_plain(stream, cx, feed),
            Self::Tls(stream) => match ready!(poll_receive_tls(stream, cx, feed)) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
                received => Poll::Ready(received),
            },
            Self::Lost => Poll::Ready(Ok(0)),
        }
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, octets),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, octets),
            Self::Lost => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    pub(crate) fn poll_write_slices(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Lost => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Plain(_) | Self::Lost => Poll::Ready(Ok(())),
        }
    }

    /// Ends our direction: close_notify in TLS, and FIN.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Lost => Poll::Ready(Ok(())),
        }
    }

    /// Drops what still arrives on the TCP connection, whatever it is; zero at the end.
    pub(crate) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => poll_receive_plain(stream, cx, &mut |_| {}),
            Self::Tls(stream) => poll_receive_plain(tcp_of(stream), cx, &mut |_| {}),
            Self::Lost => Poll::Ready(Ok(0)),
        }
    }
}

fn poll_receive_plain(
    stream: &mut TcpStream,
    cx: &mut Context<'_>,
    feed: &mut impl FnMut(&[u8]),
) -> Poll<io::Result<usize>> {
    let mut buffer = READ_BUFFER.take();
    buffer.resize(READ_SIZE, 0);
    let mut read = ReadBuf::new(&mut buffer);
    let polled = Pin::new(stream).poll_read(cx, &mut read);
    let received = polled.map_ok(|()| {
        let octets = read.filled();
        if !octets.is_empty() {
            feed(octets);
        }
        octets.len()
    });
    READ_BUFFER.set(buffer);
    received
}

/// Feeds straight from the buffer that the record was decrypted into.
fn poll_receive_tls(
    stream: &mut TlsStream<TcpStream>,
    cx: &mut Context<'_>,
    feed: &mut impl FnMut(&[u8]),
) -> Poll<io::Result<usize>> {
    let octets = ready!(Pin::new(&mut *stream).poll_fill_buf(cx))?;
    let length = octets.len();
    if length > 0 {
        feed(octets);
        Pin::new(stream).consume(length);
    }
    Poll::Ready(Ok(length))
}

fn tcp_of(stream: &mut TlsStream<TcpStream>) -> &mut TcpStream {
    stream.get_mut().0
}
