//! The PROXY protocol, versions 1 and 2, by which a balancer says whom it speaks for
//! (haproxy.org, `proxy-protocol.txt`, §2).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use proxy_header::{ParseConfig, ProxyHeader};
use thiserror::Error;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for a header. A balancer sends it before anything else; §2 asks for at least 3 s.
const DEADLINE: Duration = Duration::from_secs(5);
/// What version 2 begins with (§2.2). The shortest header of version 1 is longer still.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with (§2.1).
const WORD: &[u8] = b"PROXY ";
/// Longest line of version 1, its end included (§2.1).
const LONGEST_LINE: usize = 107;
/// Most octets after the fixed part of version 2. Balancers add a certificate's names at most.
const LONGEST_REST: usize = 4_096;

/// Why there is no header.
#[derive(Debug, Error)]
pub(crate) enum ProxyError {
    /// It did not come in time.
    #[error("no PROXY header within {} s", DEADLINE.as_secs())]
    Late,
    /// The connection broke, or ended before the header did.
    #[error("the connection ended before its PROXY header did")]
    Ended(#[from] io::Error),
    /// Something else came.
    #[error(
        "what came is no PROXY header: have the balancer send one, or remove it from proxy_networks"
    )]
    Other,
    /// The header is longer than any should be.
    #[error("the PROXY header is too long")]
    TooLong,
    /// It is none of the protocol's.
    #[error("the PROXY header is invalid: {0:?}")]
    Invalid(proxy_header::Error),
}

/// Both ends of a connection to the balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The client.
    pub(crate) client: SocketAddr,
    /// Where the client connected to.
    pub(crate) local: SocketAddr,
}

/// Reads the header and not an octet more. None if the balancer speaks for itself, to see whether
/// we are well (`LOCAL`, §2.2), or doesn't know for whom (`UNKNOWN`, §2.1).
pub(crate) async fn receive(stream: &mut TcpStream) -> Result<Option<Ends>, ProxyError> {
    receive_within(DEADLINE, stream).await
}

async fn receive_within(
    deadline: Duration,
    stream: &mut TcpStream,
) -> Result<Option<Ends>, ProxyError> {
    let header = timeout(deadline, read(stream));
    let header = header.await.map_err(|_| ProxyError::Late)??;
    parse(&header)
}

fn parse(header: &[u8]) -> Result<Option<Ends>, ProxyError> {
    let parsed = ProxyHeader::parse(header, ParseConfig::default());
    let (header, _) = parsed.map_err(ProxyError::Invalid)?;
    Ok(header.proxied_address().map(|address| Ends {
        client: address.source,
        local: address.destination,
    }))
}

async fn read(stream: &mut TcpStream) -> Result<Vec<u8>, ProxyError> {
    let mut header = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut header).await?;
    if header == SIGNATURE {
        read_version_2(stream, &mut header).await?;
    } else if header.starts_with(WORD) {
        read_version_1(stream, &mut header).await?;
    } else {
        return Err(ProxyError::Other);
    }
    Ok(header)
}

/// The rest of a line, octet by octet: what follows it is the client's, and TLS may be what it is.
async fn read_version_1(stream: &mut TcpStream, header: &mut Vec<u8>) -> Result<(), ProxyError> {
    while !header.ends_with(b"\r\n") {
        if header.len() >= LONGEST_LINE {
            return Err(ProxyError::TooLong);
        }
        header.push(stream.read_u8().await?);
    }
    Ok(())
}

/// Version, family, and the length of what follows; then that.
async fn read_version_2(stream: &mut TcpStream, header: &mut Vec<u8>) -> Result<(), ProxyError> {
    let mut fixed = [0; 4];
    stream.read_exact(&mut fixed).await?;
    header.extend_from_slice(&fixed);
    let [_, _, high, low] = fixed;
    let rest = usize::from(u16::from_be_bytes([high, low]));
    if rest > LONGEST_REST {
        return Err(ProxyError::TooLong);
    }
    let fixed = header.len();
    header.resize(fixed + rest, 0);
    stream.read_exact(&mut header[fixed..]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    const HEADERS: [&[u8]; 2] = [
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x67\0\x19",
    ];

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let balancer = TcpStream::connect(listener.local_addr().unwrap());
        let (balancer, accepted) = tokio::join!(balancer, listener.accept());
        (balancer.unwrap(), accepted.unwrap().0)
    }

    /// Wherever it stops, and though each octet came in time.
    #[tokio::test]
    async fn a_header_that_is_never_whole_is_late() {
        const DEADLINE: Duration = Duration::from_millis(100);
        for header in HEADERS {
            for sent in [0, 5, 14, header.len() - 1] {
                let (mut balancer, mut stream) = pair().await;
                let dribble = async {
                    for octet in &header[..sent] {
                        balancer.write_all(&[*octet]).await.unwrap();
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    std::future::pending::<()>().await;
                };
                let received = tokio::select! {
                    received = receive_within(DEADLINE, &mut stream) => received,
                    () = dribble => unreachable!("it stops, but never ends"),
                };
                assert!(matches!(received, Err(ProxyError::Late)), "{received:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_header_in_pieces_is_in_time() {
        for header in HEADERS {
            let (mut balancer, mut stream) = pair().await;
            let dribble = async {
                for octet in header {
                    balancer.write_all(&[*octet]).await.unwrap();
                }
            };
            let (received, ()) = tokio::join!(receive(&mut stream), dribble);
            let ends = received.unwrap().unwrap();
            assert_eq!(ends.client, "192.0.2.7:4711".parse().unwrap());
            assert_eq!(ends.local, "198.51.100.1:25".parse().unwrap());
        }
    }
}
