//! The client's side of what a process tells over HTTP: for `--health`, and for the doctor.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Reads a page such as `/ready`, head included: HTTP/1.0 (RFC 1945 §5), whose answer ends with the
/// connection. No more than `longest` octets are read, and it takes no longer than `patience`.
///
/// # Errors
/// Nobody answers; [`io::ErrorKind::TimedOut`] if not in time.
pub async fn read_page(
    address: SocketAddr,
    page: &str,
    longest: u64,
    patience: Duration,
) -> io::Result<String> {
    let answer = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {page} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(longest).read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = timeout(patience, answer).await;
    answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Whoever listens on all addresses is found on loopback.
#[must_use]
pub fn on_this_machine(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
