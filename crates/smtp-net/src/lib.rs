//! Drives SMTP and LMTP sessions over tokio and rustls.
//!
//! Server: a [`Listener`] takes connections within its limits and moves octets between each socket
//! and its [`smtp::server::Session`]; what a service decides is a [`Handler`]. Content is held
//! under a [`Budget`]. Client: a [`ClientConnection`] does the same for
//! [`smtp::client::Session`].
//!
//! Invariants: every wait on the network has a deadline; every buffer has a bound; a connection
//! that waits for its client holds no buffer.

mod address_group;
mod admission;
mod budget;
mod certificate;
mod client;
mod connection;
mod content;
mod handler;
mod listener;
mod metrics;
mod outgoing;
mod proxy;
mod tls;
mod transport;
mod wire;

pub use address_group::AddressGroup;
pub use budget::{Budget, OverBudget, Reservation};
pub use certificate::{ReloadingTls, TlsFiles, TlsFilesError, WATCH_INTERVAL};
pub use client::{
    AuthFailure, ClientConnection, ClientOptions, ClientTls, ConnectCause, ConnectFailure, NotSent,
    OutboundTransaction,
};
pub use content::Content;
pub use handler::{Handler, SessionInfo};
pub use listener::{BindError, Listener, ListenerOptions, ListenerTls};
pub use tls::TlsInfo;
