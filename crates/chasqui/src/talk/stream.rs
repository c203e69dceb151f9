//! A blocking socket, in plaintext or TLS, each of whose waits has a deadline.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// The least wait that a socket can be told; none means no end.
const LEAST_WAIT: Duration = Duration::from_millis(1);

/// An open connection.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// A handshake failed half-way.
    Gone,
}

impl Stream {
    /// Connects to the first of the addresses that answers.
    pub(super) fn connect(addresses: &[SocketAddr], patience: Duration) -> io::Result<Self> {
        let mut failure = io::Error::other("its name has no address");
        for address in addresses {
            match TcpStream::connect_timeout(address, patience) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Self::Plain(stream));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Shakes hands; `deadline` is for each time that the server has to answer.
    pub(super) fn secure(
        &mut self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        deadline: Instant,
    ) -> io::Result<()> {
        let Self::Plain(socket) = std::mem::replace(self, Self::Gone) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            wait_until(&stream.sock, deadline)?;
            stream.conn.complete_io(&mut stream.sock)?;
        }
        *self = Self::Tls(Box::new(stream));
        Ok(())
    }

    /// The server's certificate.
    pub(super) fn certificate(&self) -> Option<CertificateDer<'static>> {
        let Self::Tls(stream) = self else {
            return None;
        };
        let chain = stream.conn.peer_certificates()?;
        chain
            .first()
            .map(|certificate| certificate.clone().into_owned())
    }

    /// Reads what there is, or waits for it; 0 at the end.
    pub(super) fn read(&mut self, into: &mut [u8], deadline: Instant) -> io::Result<usize> {
        wait_until(self.socket()?, deadline)?;
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Tls(stream) => match stream.read(into) {
                // As good as an end: whoever was cut off sees it by what is missing.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                read => read,
            },
            Self::Gone => Ok(0),
        }
    }

    pub(super) fn write_all(&mut self, octets: &[u8], deadline: Instant) -> io::Result<()> {
        wait_until(self.socket()?, deadline)?;
        match self {
            Self::Plain(stream) => stream.write_all(octets),
            Self::Tls(stream) => stream.write_all(octets).and_then(|()| stream.flush()),
            Self::Gone => Ok(()),
        }
    }

    fn socket(&self) -> io::Result<&TcpStream> {
        match self {
            Self::Plain(stream) => Ok(stream),
            Self::Tls(stream) => Ok(&stream.sock),
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

fn wait_until(socket: &TcpStream, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let left = Some(left.max(LEAST_WAIT));
    socket.set_read_timeout(left)?;
    socket.set_write_timeout(left)
}
