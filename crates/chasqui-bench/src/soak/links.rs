//! The proxies between everybody and everybody.

use std::net::SocketAddr;

use anyhow::Result;

use super::proxy::Proxy;

/// What is spoken on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    Smtp,
    Grpc,
    Postgres,
}

/// A way between two parties.
#[derive(Debug)]
pub(super) struct Link {
    /// Such as `the way to relay1 by gRPC`.
    pub(super) name: String,
    pub(super) speech: Speech,
    pub(super) proxy: Proxy,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<Link>);

impl Links {
    /// Puts one before a server; returns where its clients connect.
    pub(super) async fn before(
        &mut self,
        server: SocketAddr,
        speech: Speech,
        name: String,
    ) -> Result<SocketAddr> {
        let proxy = Proxy::to(server).await?;
        let address = proxy.address();
        self.0.push(Link {
            name,
            speech,
            proxy,
        });
        Ok(address)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<&Link> {
        self.0.iter().collect()
    }

    /// Those on which SMTP is spoken.
    pub(super) fn of_smtp(&self) -> Vec<&Link> {
        let smtp = self.0.iter().filter(|link| link.speech == Speech::Smtp);
        smtp.collect()
    }
}
