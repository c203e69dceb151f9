//! A server that follows a script, for what a proper one never does.
//!
//! `S:` lines are said; `C:` lines must be what the client says next, or start it; `C*` skips what
//! the client says up to and with such a line. After the last line the server closes, unless that
//! is `...`, when it does nothing until the client closes.

use std::net::SocketAddr;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::soon;
use crate::told::Told;

/// What a server says until a client can begin.
pub(crate) const OPENING: &str = "
    S: 220 mx.example.org ESMTP
    C: EHLO
    S: 250-mx.example.org
    S: 250-PIPELINING
    S: 250-SIZE 1000
    S: 250 8BITMIME
";

pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    followed: JoinHandle<()>,
}

impl Scripted {
    /// A server for one connection.
    pub(crate) async fn start(script: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = script.to_owned();
        let followed = tokio::spawn(async move {
            let (stream, _) = soon(listener.accept()).await.unwrap();
            follow(&script, Told::over(stream)).await;
        });
        Self { address, followed }
    }

    /// Fails if the client did not keep to the script.
    pub(crate) async fn was_followed(self) {
        soon(self.followed).await.unwrap();
    }
}

async fn follow(script: &str, mut client: Told<TcpStream>) {
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        match line.split_once(' ') {
            Some(("S:", words)) => client.say(&format!("{words}\r\n")).await,
            Some(("C:", start)) => {
                let said = client.line().await;
                assert!(said.starts_with(start), "{said:?} instead of {start:?}");
            }
            Some(("C*", last)) => while client.line().await.trim_end() != last {},
            None if line == "..." => {
                let mut rest = Vec::new();
                let _ = soon(client.stream.read_to_end(&mut rest)).await;
                let said = String::from_utf8_lossy(&rest);
                assert!(!said.contains("\r\n.\r\n"), "completed: {said:?}");
            }
            _ => panic!("not a line of a script: {line}"),
        }
    }
}
