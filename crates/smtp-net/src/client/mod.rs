//! The client side: one connection to one server, for any number of transactions.

mod authenticate;
mod connect;
mod connection;
mod options;
mod send;

pub use authenticate::AuthFailure;
pub use connect::{ConnectCause, ConnectFailure};
pub use connection::ClientConnection;
pub use options::{ClientOptions, ClientTls};
pub use send::{NotSent, OutboundTransaction};
