//! A transport under deadlines: no wait without one, and one timer a connection.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until, timeout, timeout_at};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::outgoing::Outgoing;
use crate::tls::TlsInfo;
use crate::transport::Transport;

/// How long and how much we listen on after our last word, so that the far end's late octets
/// don't reset the connection before it has read that word.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_OCTETS: usize = 256 * 1024;

/// What came of waiting for input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Some octets, which have been fed.
    Octets,
    /// The far end has closed its direction.
    End,
    /// The deadline passed.
    Deadline,
}

/// What came of writing a block while listening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// All of it left.
    All,
    /// The gate is closed; the rest was not written.
    Held,
    /// The far end spoke, or closed its direction, before it took all of the block.
    Heard(Received),
}

pub(crate) struct Wire {
    transport: Transport,
    timer: Timer,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            transport: Transport::Plain(stream),
            timer: Timer::default(),
        }
    }

    /// Waits for input and feeds it. Nothing is lost when the future is dropped.
    pub(crate) async fn receive(
        &mut self,
        deadline: Instant,
        mut feed: impl FnMut(&[u8]),
    ) -> io::Result<Received> {
        poll_fn(|cx| {
            if let Poll::Ready(received) = self.transport.poll_receive(cx, &mut feed) {
                return Poll::Ready(received.map(heard));
            }
            self.timer
                .poll_expired(deadline, cx)
                .map(|()| Ok(Received::Deadline))
        })
        .await
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when the far end hasn't taken it by the deadline.
    pub(crate) async fn send(&mut self, mut octets: &[u8], deadline: Instant) -> io::Result<()> {
        poll_fn(|cx| {
            while let Poll::Ready(progress) = self.poll_progress(&mut octets, cx) {
                if let Some(sent) = progress.transpose() {
                    return Poll::Ready(sent);
                }
            }
            self.timer
                .poll_expired(deadline, cx)
                .map(|()| Err(io::ErrorKind::TimedOut.into()))
        })
        .await
    }

    /// One step of writing; `Some` when all has left.
    fn poll_progress(
        &mut self,
        octets: &mut &[u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<()>>> {
        if octets.is_empty() {
            return self.transport.poll_flush(cx).map_ok(Some);
        }
        let written = ready!(self.transport.poll_write(cx, octets))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        *octets = octets.get(written..).unwrap_or_default();
        Poll::Ready(Ok(None))
    }

    /// Writes a block, and listens while the far end doesn't take it. `gate` is asked right before
    /// each write; once it is closed, nothing more leaves.
    pub(crate) async fn send_block(
        &mut self,
        block: &mut Outgoing,
        deadline: Instant,
        gate: &(dyn Fn() -> bool + Sync),
        mut feed: impl FnMut(&[u8]),
    ) -> io::Result<Sent> {
        poll_fn(|cx| {
            loop {
                if !gate() {
                    return Poll::Ready(Ok(Sent::Held));
                }
                if block.is_empty() {
                    match self.transport.poll_flush(cx) {
                        Poll::Ready(flushed) => return Poll::Ready(flushed.map(|()| Sent::All)),
                        Poll::Pending => break,
                    }
                }
                match block.with_slices(|slices| self.transport.poll_write_slices(cx, slices)) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(written)) => block.advance(written),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => break,
                }
            }
            if let Poll::Ready(received) = self.transport.poll_receive(cx, &mut feed) {
                return Poll::Ready(received.map(|octets| Sent::Heard(heard(octets))));
            }
            self.timer
                .poll_expired(deadline, cx)
                .map(|()| Err(io::ErrorKind::TimedOut.into()))
        })
        .await
    }

    /// Whether nothing has arrived that nobody asked for: neither octets nor the end.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        self.transport
            .poll_receive(&mut cx, &mut |_| {})
            .is_pending()
    }

    /// The server's side of a TLS handshake.
    pub(crate) async fn accept_tls(
        &mut self,
        config: &Arc<ServerConfig>,
        deadline: Instant,
    ) -> io::Result<TlsInfo> {
        let stream = self.take_plain()?;
        let handshake = TlsAcceptor::from(Arc::clone(config)).accept(stream);
        let stream = timeout_at(deadline.into(), handshake).await??;
        let (_, connection) = stream.get_ref();
        let sni = connection.server_name().map(str::to_owned);
        let info = TlsInfo::of(connection, sni);
        self.transport = Transport::Tls(Box::new(stream.into()));
        Ok(info)
    }

    /// The client's side of a TLS handshake.
    pub(crate) async fn connect_tls(
        &mut self,
        config: Arc<ClientConfig>,
        server_name: ServerName<'static>,
        deadline: Instant,
    ) -> io::Result<TlsInfo> {
        let stream = self.take_plain()?;
        let sni = match &server_name {
            ServerName::DnsName(name) => Some(name.as_ref().to_owned()),
            _ => None,
        };
        let handshake = TlsConnector::from(config).connect(server_name, stream);
        let stream = timeout_at(deadline.into(), handshake).await??;
        let info = TlsInfo::of(stream.get_ref().1, sni);
        self.transport = Transport::Tls(Box::new(stream.into()));
        Ok(info)
    }

    fn take_plain(&mut self) -> io::Result<TcpStream> {
        match mem::replace(&mut self.transport, Transport::Lost) {
            Transport::Plain(stream) => Ok(stream),
            other => {
                self.transport = other;
                Err(io::ErrorKind::InvalidInput.into())
            }
        }
    }

    /// Drops the connection as it is: what is still buffered never leaves.
    pub(crate) fn cut(&mut self) {
        self.transport = Transport::Lost;
    }

    /// Ends our direction and doesn't listen any more.
    pub(crate) async fn close_now(mut self) {
        let _ = timeout(LINGER, poll_fn(|cx| self.transport.poll_shutdown(cx))).await;
    }

    /// Ends the conversation with a client that said its last word: at once, if it says no more.
    /// In TLS its close_notify may still come.
    pub(crate) async fn close_after_quit(mut self) {
        let is_over = matches!(self.transport, Transport::Plain(_)) && self.is_quiet();
        if !is_over {
            self.close().await;
        }
    }

    /// Ends the conversation: our direction first, then, for a moment, the far end's. How that
    /// goes is no longer of interest.
    pub(crate) async fn close(mut self) {
        let _ = timeout(LINGER, async {
            poll_fn(|cx| self.transport.poll_shutdown(cx)).await?;
            let mut heard = 0;
            while heard < LINGER_OCTETS {
                match poll_fn(|cx| self.transport.poll_discard(cx)).await? {
                    0 => break,
                    octets => heard += octets,
                }
            }
            io::Result::Ok(())
        })
        .await;
    }
}

fn heard(octets: usize) -> Received {
    match octets {
        0 => Received::End,
        _ => Received::Octets,
    }
}

/// One timer for all of a connection's deadlines. Deadlines mostly move away: the timer is then
/// left alone, and looked at again when it fires.
#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn poll_expired(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
        if deadline < sleep.deadline().into_std() {
            sleep.as_mut().reset(deadline.into());
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline.into());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicBool, Ordering};

    use bytes::Bytes;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// More than the buffers of two sockets hold.
    const LARGE: usize = 64 << 20;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    async fn is_pending<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> bool {
        poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
    }

    async fn pair() -> (Wire, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(near, listener.accept());
        (Wire::new(near.unwrap()), far.unwrap().0)
    }

    #[tokio::test]
    async fn what_waits_for_the_far_end_is_held_once_the_gate_is_closed() {
        let (mut wire, mut far) = pair().await;
        let mut block = Outgoing::default();
        block.push(Bytes::from(vec![b'x'; LARGE]));
        block.push(Bytes::from_static(b"\r\n.\r\n"));
        let open = AtomicBool::new(true);
        let gate = || open.load(Ordering::Relaxed);
        {
            let mut sending = Box::pin(wire.send_block(&mut block, soon(), &gate, |_| {}));
            assert!(is_pending(&mut sending).await);
            open.store(false, Ordering::Relaxed);
            let mut some = vec![0; LARGE / 16];
            while is_pending(&mut sending).await {
                far.read_exact(&mut some).await.unwrap();
            }
        }
        assert!(!block.is_empty());
        wire.cut();
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.unwrap();
        assert!(!rest.ends_with(b".\r\n"));
    }

    #[tokio::test]
    async fn a_deadline_that_moves_away_is_kept_and_one_that_comes_closer_too() {
        let (mut wire, mut far) = pair().await;
        let long_ago = Instant::now();
        for deadline in [long_ago + Duration::from_millis(20), long_ago] {
            let received = wire.receive(deadline, |_| {}).await.unwrap();
            assert_eq!(received, Received::Deadline);
            assert!(Instant::now() >= deadline);
        }
        tokio::io::AsyncWriteExt::write_all(&mut far, b"hello")
            .await
            .unwrap();
        let mut heard = Vec::new();
        let received = wire.receive(soon(), |octets| heard.extend_from_slice(octets));
        assert_eq!(received.await.unwrap(), Received::Octets);
        assert_eq!(heard, b"hello");
        assert!(wire.is_quiet());
    }
}
