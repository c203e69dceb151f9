//! A connection's middle, where it can be held, deafened and cut.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Octets in one piece that, of all that an SMTP client says, only a message has. TLS doesn't hide that.
const CONTENT: usize = 2 << 10;

/// What a [`Proxy`] does with what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Traffic {
    /// Passes it on, both ways.
    Passes,
    /// Keeps it, both ways, until it passes again.
    Held,
    /// Passes on what clients say, and keeps what the server says: the server acts, nobody learns of it.
    Deaf,
}

/// Where in a transaction the next connection is cut that comes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// In the midst of the content.
    MidContent,
    /// The whole content has gone to the server, and its reply does not come back.
    BeforeReply,
}

/// Stands between clients and a server, on a port of its own. Its connections end when it is dropped.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    switches: Arc<Switches>,
    _accepting: JoinSet<()>,
}

#[derive(Debug)]
struct Switches {
    traffic: watch::Sender<Traffic>,
    /// Each change cuts the connections that are there.
    cuts: watch::Sender<u64>,
    /// Connections still to be cut at each moment.
    mid_content: AtomicUsize,
    before_reply: AtomicUsize,
}

/// The connection is to end at once.
struct Cut;

impl Proxy {
    /// Stands before `server`.
    pub(super) async fn to(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no port for a proxy")?;
        let address = listener.local_addr()?;
        let switches = Arc::new(Switches {
            traffic: watch::Sender::new(Traffic::Passes),
            cuts: watch::Sender::new(0),
            mid_content: AtomicUsize::new(0),
            before_reply: AtomicUsize::new(0),
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, server, Arc::clone(&switches)));
        Ok(Self {
            address,
            switches,
            _accepting: accepting,
        })
    }

    /// Where clients connect.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does something else with what comes from now on.
    pub(super) fn set(&self, traffic: Traffic) {
        self.switches.traffic.send_replace(traffic);
    }

    /// Cuts all connections that are there. New ones are as before.
    pub(super) fn cut(&self) {
        self.switches.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Will cut so many connections at this moment.
    pub(super) fn set_snares(&self, moment: Moment, connections: usize) {
        self.switches
            .snare(moment)
            .store(connections, Ordering::SeqCst);
    }

    /// How many of those are still to come.
    pub(super) fn snares(&self, moment: Moment) -> usize {
        self.switches.snare(moment).load(Ordering::SeqCst)
    }
}

impl Switches {
    fn snare(&self, moment: Moment) -> &AtomicUsize {
        match moment {
            Moment::MidContent => &self.mid_content,
            Moment::BeforeReply => &self.before_reply,
        }
    }

    /// Whether a connection is to be cut at this moment: the next one then is not.
    fn springs(&self, moment: Moment) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        self.snare(moment)
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
            .is_ok()
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, switches: Arc<Switches>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let switches = Arc::clone(&switches);
        let mut cuts = switches.cuts.subscribe();
        connections.spawn(async move {
            tokio::select! {
                () = connect(client, server, &switches) => {}
                _ = cuts.changed() => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connect(client: TcpStream, server: SocketAddr, switches: &Switches) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let reply_is_lost = AtomicBool::new(false);
    let _ = tokio::try_join!(
        to_the_server(from_client, to_server, switches, &reply_is_lost),
        to_the_client(from_server, to_client, switches, &reply_is_lost),
    );
}

async fn to_the_server(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    switches: &Switches,
    reply_is_lost: &AtomicBool,
) -> Result<(), Cut> {
    let mut traffic = switches.traffic.subscribe();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let passes = |traffic: &Traffic| *traffic != Traffic::Held;
        traffic.wait_for(passes).await.map_err(|_| Cut)?;
        let mut octets = &buffer[..length];
        let is_content = length >= CONTENT;
        let cut_short = is_content && switches.springs(Moment::MidContent);
        if cut_short {
            octets = &octets[..length / 2];
        } else if is_content && switches.springs(Moment::BeforeReply) {
            reply_is_lost.store(true, Ordering::SeqCst);
        }
        to.write_all(octets).await.map_err(|_| Cut)?;
        if cut_short {
            return Err(Cut);
        }
    }
    // The end of one direction is passed on like anything else.
    let _ = to.shutdown().await;
    Ok(())
}

async fn to_the_client(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    switches: &Switches,
    reply_is_lost: &AtomicBool,
) -> Result<(), Cut> {
    let mut traffic = switches.traffic.subscribe();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if reply_is_lost.load(Ordering::SeqCst) {
            return Err(Cut);
        }
        let passes = |traffic: &Traffic| *traffic == Traffic::Passes;
        traffic.wait_for(passes).await.map_err(|_| Cut)?;
        to.write_all(&buffer[..length]).await.map_err(|_| Cut)?;
    }
    let _ = to.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers whatever it reads with the number of octets.
    async fn counting_server() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = vec![0; 64 << 10];
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        let answer = format!("{length}\n");
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                });
            }
        });
        address
    }

    async fn say(proxy: &Proxy, octets: usize) -> String {
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_all(&vec![b'x'; octets]).await.unwrap();
        let mut answer = vec![0; 100];
        let length = stream.read(&mut answer).await.unwrap_or(0);
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    #[tokio::test]
    async fn what_is_cut_is_the_next_message_and_only_that() {
        let proxy = Proxy::to(counting_server().await).await.unwrap();
        for moment in [Moment::MidContent, Moment::BeforeReply] {
            proxy.set_snares(moment, 1);
            assert_eq!(say(&proxy, 10).await, "10\n");
            assert_eq!(say(&proxy, CONTENT).await, "", "{moment:?}");
            assert_eq!(proxy.snares(moment), 0);
            assert_eq!(say(&proxy, CONTENT).await, format!("{CONTENT}\n"));
        }
    }
}
