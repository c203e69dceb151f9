//! Opening a connection: TCP, greeting, EHLO, STARTTLS, EHLO again.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use rustls::pki_types::ServerName;
use smtp::Reply;
use smtp::client::{Ending, Event, Session, Stage};
use thiserror::Error;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::{ClientConnection, ClientOptions, ClientTls};
use crate::wire::Wire;
use crate::{metrics, tls};

/// Why a connection was not opened.
#[derive(Debug, Error)]
#[error("{cause}")]
pub struct ConnectFailure {
    /// What went wrong, and where.
    #[source]
    pub cause: ConnectCause,
    /// Whether STARTTLS had been said: then a connection with [`ClientTls::Never`] may fare
    /// better.
    pub tls_tried: bool,
}

/// What went wrong while a connection was opened.
#[derive(Debug, Error)]
pub enum ConnectCause {
    /// There is no TCP connection.
    #[error("cannot connect: {0}")]
    Tcp(#[source] io::Error),
    /// The server refused, at [`Stage::Greeting`] or [`Stage::Hello`].
    #[error("the server refused at {stage}: {reply}")]
    Refused {
        /// What was refused.
        stage: Stage,
        /// The server's words.
        reply: Reply,
    },
    /// The TLS handshake failed, or took too long.
    #[error("the TLS handshake failed: {0}")]
    Handshake(#[source] io::Error),
    /// The session ended by itself: lost, timed out, or out of step.
    #[error("{ending} at {stage}")]
    Ended {
        /// How far it had come.
        stage: Stage,
        /// Why.
        #[source]
        ending: Ending,
    },
}

impl ConnectFailure {
    /// How far the session had come; none if there was no TCP connection.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        match &self.cause {
            ConnectCause::Tcp(_) => None,
            ConnectCause::Handshake(_) => Some(Stage::Tls),
            ConnectCause::Refused { stage, .. } | ConnectCause::Ended { stage, .. } => Some(*stage),
        }
    }

    /// The server's words, if it said any.
    #[must_use]
    pub fn reply(&self) -> Option<&Reply> {
        match &self.cause {
            ConnectCause::Refused { reply, .. }
            | ConnectCause::Ended {
                ending: Ending::ByServer(reply),
                ..
            } => Some(reply),
            _ => None,
        }
    }
}

impl ClientConnection {
    /// Connects, and brings the session to the point where a transaction can begin.
    /// `server_name` is the name that TLS asks for (SNI): that of the MX host.
    ///
    /// # Errors
    /// [`ConnectFailure`]. What comes next, another host or plaintext, is the caller's choice.
    pub async fn connect(
        address: SocketAddr,
        server_name: &str,
        options: &ClientOptions,
    ) -> Result<Self, ConnectFailure> {
        let mut connection = match open_tcp(address, options).await {
            Ok(connection) => connection,
            Err(error) => {
                return Err(ConnectFailure {
                    cause: ConnectCause::Tcp(error),
                    tls_tried: false,
                });
            }
        };
        let mut tls_tried = false;
        match connection
            .open_session(server_name, options.tls, &mut tls_tried)
            .await
        {
            Ok(()) => Ok(connection),
            Err(cause) => {
                connection.leave().await;
                Err(ConnectFailure { cause, tls_tried })
            }
        }
    }

    async fn open_session(
        &mut self,
        server_name: &str,
        tls: ClientTls,
        tls_tried: &mut bool,
    ) -> Result<(), ConnectCause> {
        while let Some(event) = self.next_event().await {
            match event {
                Event::Ready(extensions) => {
                    let wants_tls = tls == ClientTls::Opportunistic && extensions.start_tls();
                    if !wants_tls || *tls_tried {
                        return Ok(());
                    }
                    *tls_tried = true;
                    // Whether the session can is what the event says.
                    let _ = self.session.start_tls(Instant::now());
                }
                Event::StartTls => self.shake_hands(server_name).await?,
                // The session stays open, in plain.
                Event::Refused {
                    stage: Stage::StartTls,
                    reply,
                } if self.session.is_ready() => {
                    tracing::debug!(peer = %self.peer, %reply, "STARTTLS refused");
                    return Ok(());
                }
                Event::Refused { stage, reply } => {
                    return Err(ConnectCause::Refused { stage, reply });
                }
                Event::Closed { stage, ending } => {
                    return Err(ConnectCause::Ended { stage, ending });
                }
                Event::Authenticated | Event::SendContent | Event::TransactionDone(_) => {}
            }
        }
        Err(ConnectCause::Ended {
            stage: self.session.stage(),
            ending: Ending::Disconnected,
        })
    }

    async fn shake_hands(&mut self, server_name: &str) -> Result<(), ConnectCause> {
        let config = tls::opportunistic_config()
            .map_err(|error| ConnectCause::Handshake(io::Error::other(error)))?;
        let name = tls_name(server_name, self.peer.ip());
        let deadline = self.deadline();
        let shaken = self.wire.connect_tls(config, name, deadline).await;
        metrics::shaken("client", &shaken);
        self.tls = Some(shaken.map_err(ConnectCause::Handshake)?);
        self.session.tls_established(Instant::now());
        Ok(())
    }
}

async fn open_tcp(address: SocketAddr, options: &ClientOptions) -> io::Result<ClientConnection> {
    let stream = timeout(options.connect_timeout, open_stream(address, options)).await??;
    // Commands and the final dot must not wait for the acknowledgement of what went before.
    stream.set_nodelay(true)?;
    Ok(ClientConnection {
        peer: stream.peer_addr()?,
        local: stream.local_addr()?,
        session: Session::new(options.session.clone(), false, Instant::now()),
        timeouts: options.session.timeouts.clone(),
        wire: Wire::new(stream),
        tls: None,
        transactions: 0,
    })
}

async fn open_stream(address: SocketAddr, options: &ClientOptions) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(source) = options.source_address {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.connect(address).await
}

/// What to ask for in the handshake. A host without a proper name is asked for by its address,
/// which is not sent (RFC 6066 §3).
fn tls_name(server_name: &str, address: IpAddr) -> ServerName<'static> {
    ServerName::try_from(server_name.trim_end_matches('.').to_owned())
        .unwrap_or(ServerName::IpAddress(address.into()))
}
