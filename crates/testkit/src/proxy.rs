//! A connection's middle, where a test can hold, deafen or cut it.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a [`Proxy`] does with what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Passes it on, both ways.
    Passes,
    /// Keeps it, both ways, until it passes again.
    Held,
    /// Passes on what clients say, and keeps what the server says: the server acts, nobody learns of it.
    Deaf,
    /// Lets nobody in: new connections are closed at once, old ones go on.
    Closed,
}

/// Stands between clients and a server, on a port of its own.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    traffic: watch::Sender<Traffic>,
    /// Each change cuts the connections that are there.
    cuts: watch::Sender<u64>,
    _accepting: JoinSet<()>,
}

#[derive(Clone, Copy)]
enum Direction {
    ToServer,
    ToClient,
}

impl Proxy {
    /// Stands before `server`, on a free port of 127.0.0.1.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let traffic = watch::Sender::new(Traffic::Passes);
        let cuts = watch::Sender::new(0);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(
            listener,
            server,
            traffic.subscribe(),
            cuts.subscribe(),
        ));
        Self {
            address,
            traffic,
            cuts,
            _accepting: accepting,
        }
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does something else with what comes from now on.
    pub fn set(&self, traffic: Traffic) {
        self.traffic.send_replace(traffic);
    }

    /// Cuts all connections that are there. New ones are as before.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    traffic: watch::Receiver<Traffic>,
    cuts: watch::Receiver<u64>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if *traffic.borrow() == Traffic::Closed {
            continue;
        }
        let traffic = traffic.clone();
        let mut cuts = cuts.clone();
        cuts.mark_unchanged();
        connections.spawn(async move {
            tokio::select! {
                () = connect(client, server, traffic) => {}
                _ = cuts.changed() => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connect(client: TcpStream, server: SocketAddr, traffic: watch::Receiver<Traffic>) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(
        pass(from_client, to_server, Direction::ToServer, traffic.clone()),
        pass(from_server, to_client, Direction::ToClient, traffic),
    );
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    mut traffic: watch::Receiver<Traffic>,
) {
    let mut buffer = vec![0; 64 << 10];
    let passes = |traffic: &Traffic| match (traffic, direction) {
        (Traffic::Passes | Traffic::Closed, _) | (Traffic::Deaf, Direction::ToServer) => true,
        (Traffic::Deaf, Direction::ToClient) | (Traffic::Held, _) => false,
    };
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let held = traffic.wait_for(passes).await.is_err();
        if held || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
    // The end of one direction is passed on like anything else.
    if traffic.wait_for(passes).await.is_ok() {
        let _ = to.shutdown().await;
    }
}
