//! A far end: an SMTP server on a real socket that takes mail, or misbehaves as it is told.

mod script;
mod session;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use script::{Action, Script, Stage};

use crate::wait::wait_until;
use session::Session;

/// A message that has arrived whole, up to its final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// What stood between the brackets of MAIL; empty for the null reverse-path.
    pub reverse_path: String,
    /// What came after it, such as `BODY=8BITMIME SIZE=123`.
    pub parameters: String,
    /// The recipients that were taken, in order.
    pub recipients: Vec<String>,
    /// The content as meant: dots that were added for the wire are taken off.
    pub content: Bytes,
    /// What the client called itself.
    pub hello: String,
    /// Whether it came over TLS.
    pub tls: bool,
    /// The number of its connection, from 1.
    pub connection: usize,
    /// Whether the final dot was answered with 250.
    pub acknowledged: bool,
}

impl Received {
    /// The content as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }
}

/// A far end, which ends with all of its connections when dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinSet<()>,
}

#[derive(Debug)]
pub(in crate::sink) struct State {
    script: Mutex<Script>,
    log: Mutex<Log>,
    connections: AtomicUsize,
    open: AtomicUsize,
}

#[derive(Debug, Default)]
struct Log {
    messages: Vec<Received>,
    commands: Vec<(usize, String)>,
    complaints: Vec<String>,
    most_open: usize,
}

impl Sink {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start(script: Script) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0), script).await
    }

    /// Listens at an address: several far ends may have one port, on 127.0.0.1, 127.0.0.2 and so on.
    pub async fn start_at(address: (impl Into<IpAddr>, u16), script: Script) -> Self {
        let address = SocketAddr::from((address.0.into(), address.1));
        let listener = TcpListener::bind(address)
            .await
            .unwrap_or_else(|error| panic!("no sink on {address}: {error}"));
        let state = Arc::new(State {
            script: Mutex::new(script),
            log: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let mut accepting = JoinSet::new();
        let address = listener.local_addr().unwrap();
        accepting.spawn(accept(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            accepting,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it, with all of its connections; when this returns, its address is free for another.
    pub async fn stop(mut self) {
        self.accepting.shutdown().await;
    }

    /// Behaves otherwise from now on.
    pub fn set(&self, script: Script) {
        *self.state.script() = script;
    }

    /// The messages so far, acknowledged or not, in order.
    #[must_use]
    pub fn messages(&self) -> Vec<Received> {
        self.state.log().messages.clone()
    }

    /// Waits until so many messages were acknowledged, and returns those.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let what = format!("{count} messages at {}", self.address);
        wait_until(&what, async || self.acknowledged() >= count).await;
        let mut messages = self.messages();
        messages.retain(|message| message.acknowledged);
        messages
    }

    fn acknowledged(&self) -> usize {
        let log = self.state.log();
        let acknowledged = log.messages.iter().filter(|message| message.acknowledged);
        acknowledged.count()
    }

    /// How many connections there were so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// The most connections that were open at one time.
    #[must_use]
    pub fn most_open_connections(&self) -> usize {
        self.state.log().most_open
    }

    /// What a connection sent, line by line and without contents; the first is number 1.
    #[must_use]
    pub fn commands(&self, connection: usize) -> Vec<String> {
        let log = self.state.log();
        let of_it = log.commands.iter().filter(|(of, _)| *of == connection);
        of_it.map(|(_, line)| line.clone()).collect()
    }

    /// Where clients broke the rules of SMTP. A test of a well-behaved client ends with this empty.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.state.log().complaints.clone()
    }
}

impl State {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, connection: usize, line: &str) {
        self.log().commands.push((connection, line.to_owned()));
    }

    fn complain(&self, complaint: String) {
        self.log().complaints.push(complaint);
    }

    /// Keeps a message, and returns its number.
    fn receive(&self, message: Received) -> usize {
        let mut log = self.log();
        log.messages.push(message);
        log.messages.len() - 1
    }

    fn acknowledge(&self, number: usize) {
        self.log().messages[number].acknowledged = true;
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // A reply that waits for more to say would be measured as slowness of ours.
        let _ = stream.set_nodelay(true);
        let connection = state.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let open = state.open.fetch_add(1, Ordering::SeqCst) + 1;
        let mut log = state.log();
        log.most_open = log.most_open.max(open);
        drop(log);
        let session = Session::new(stream, Arc::clone(&state), connection);
        let state = Arc::clone(&state);
        sessions.spawn(async move {
            let _ = session.run().await;
            state.open.fetch_sub(1, Ordering::SeqCst);
        });
        while sessions.try_join_next().is_some() {}
    }
}
