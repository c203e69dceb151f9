//! A DNS server of a test's own, on a real socket.

mod server;
mod zone;

pub use server::DnsServer;
pub use zone::Zone;
