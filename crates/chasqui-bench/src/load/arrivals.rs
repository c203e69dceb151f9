//! A far end that notes when each tagged message arrived.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

#[derive(Debug, Default)]
struct Book {
    arrivals: Mutex<Arrivals>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Arrivals {
    /// All messages, tagged or not.
    count: usize,
    /// What came when.
    tagged: HashMap<u64, Instant>,
}

/// A running far end. Its sessions end when it is dropped.
#[derive(Debug)]
pub(crate) struct ArrivalSink {
    book: Arc<Book>,
    sessions: JoinSet<()>,
}

impl ArrivalSink {
    /// Listens at `address`; each message takes `work` before it is acknowledged.
    pub(crate) async fn start(address: SocketAddr, work: Duration) -> Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("can't listen at {address}"))?;
        let book = Arc::new(Book::default());
        let mut sessions = JoinSet::new();
        sessions.spawn(listen(listener, Arc::clone(&book), work));
        Ok(Self { book, sessions })
    }

    /// Waits for a message; says when it was received.
    pub(crate) async fn arrival(&self, tag: u64, deadline: Duration) -> Result<Instant> {
        let arrives = async {
            loop {
                let changed = self.book.changed.notified();
                if let Some(arrival) = self.book.lock().tagged.get(&tag) {
                    return *arrival;
                }
                changed.await;
            }
        };
        timeout(deadline, arrives)
            .await
            .with_context(|| format!("message {tag} did not arrive"))
    }

    /// How many messages have come in.
    pub(crate) fn count(&self) -> usize {
        self.book.lock().count
    }
}

impl Drop for ArrivalSink {
    fn drop(&mut self) {
        self.sessions.abort_all();
    }
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, tag: Option<u64>) {
        let now = Instant::now();
        let mut arrivals = self.lock();
        arrivals.count += 1;
        if let Some(tag) = tag {
            arrivals.tagged.entry(tag).or_insert(now);
        }
        drop(arrivals);
        self.changed.notify_waiters();
    }
}

async fn listen(listener: TcpListener, book: Arc<Book>, work: Duration) {
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let book = Arc::clone(&book);
        // A session that fails is the sender's loss, which it will notice.
        sessions.spawn(async move { drop(session(stream, &book, work).await) });
        while sessions.try_join_next().is_some() {}
    }
}

async fn session(stream: TcpStream, book: &Book, work: Duration) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 sink.test ESMTP\r\n").await?;
    let mut line = Vec::new();
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let reply: &[u8] = match &verb[..] {
            b"EHLO" => b"250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            b"QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            b"DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let tag = content(&mut stream, &mut line).await?;
                book.note(tag);
                if !work.is_zero() {
                    tokio::time::sleep(work).await;
                }
                b"250 taken\r\n"
            }
            _ => b"250 yes\r\n",
        };
        stream.write_all(reply).await?;
    }
}

/// Reads a message up to the final dot; returns its tag.
async fn content(stream: &mut BufReader<TcpStream>, line: &mut Vec<u8>) -> Result<Option<u64>> {
    let mut tag = None;
    loop {
        line.clear();
        anyhow::ensure!(stream.read_until(b'\n', line).await? > 0, "cut off");
        if &line[..] == b".\r\n" {
            return Ok(tag);
        }
        if tag.is_none() {
            tag = std::str::from_utf8(line)
                .ok()
                .and_then(|line| line.strip_prefix("X-Tag: ")?.trim().parse().ok());
        }
    }
}
