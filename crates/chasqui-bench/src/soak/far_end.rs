//! The far end: an SMTP server that notes what it has received, and what it has said 250 to.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::letters::{JO, NOBODY, Parcel, tag_of};

/// How long each message takes to be stored: so that some is always under way.
const WORK: Duration = Duration::from_millis(150);

/// What became of a recipient's copies of a message.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Received {
    /// How many came whole, up to the final dot.
    pub(super) copies: usize,
    /// Whether 250 was said to any of them. Without, whoever sent it must not count on it.
    pub(super) acknowledged: bool,
}

type Book = Arc<Mutex<BTreeMap<Parcel, Received>>>;

/// A running far end. Its sessions end when it is dropped.
#[derive(Debug)]
pub(super) struct FarEnd {
    address: SocketAddr,
    book: Book,
    _sessions: JoinSet<()>,
}

impl FarEnd {
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no port for the far end")?;
        let address = listener.local_addr()?;
        let book = Book::default();
        let mut sessions = JoinSet::new();
        sessions.spawn(listen(listener, Arc::clone(&book)));
        Ok(Self {
            address,
            book,
            _sessions: sessions,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that it has received so far.
    pub(super) fn received(&self) -> BTreeMap<Parcel, Received> {
        lock(&self.book).clone()
    }
}

fn lock(book: &Book) -> MutexGuard<'_, BTreeMap<Parcel, Received>> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(listener: TcpListener, book: Book) {
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let book = Arc::clone(&book);
        // A session that fails is the sender's loss, which it will notice.
        sessions.spawn(async move { drop(session(stream, &book).await) });
        while sessions.try_join_next().is_some() {}
    }
}

async fn session(stream: TcpStream, book: &Book) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 far.test ESMTP\r\n").await?;
    let mut recipients = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let command = String::from_utf8_lossy(&line).trim_end().to_owned();
        let verb = command.get(..4).unwrap_or_default().to_ascii_uppercase();
        let reply = match verb.as_str() {
            "EHLO" => "250-far.test\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME",
            "MAIL" | "RSET" => {
                recipients.clear();
                "250 2.0.0 yes"
            }
            "RCPT" if command.contains(NOBODY) => "550 5.1.1 nobody of that name here",
            "RCPT" if command.contains(JO) => {
                recipients.push(JO);
                "250 2.1.5 yes"
            }
            // Reports to strangers: taken, and of no interest.
            "RCPT" => "250 2.1.5 yes, whoever that is",
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let tag = content(&mut stream).await?;
                let copies: Vec<Parcel> = recipients
                    .drain(..)
                    .filter_map(|recipient| Some((tag?, recipient)))
                    .collect();
                note(book, &copies, |received| received.copies += 1);
                tokio::time::sleep(WORK).await;
                stream.write_all(b"250 2.0.0 taken\r\n").await?;
                note(book, &copies, |received| received.acknowledged = true);
                continue;
            }
            "QUIT" => {
                stream.write_all(b"221 2.0.0 bye\r\n").await?;
                return Ok(());
            }
            _ => "500 5.5.1 what?",
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
    }
}

fn note(book: &Book, copies: &[Parcel], what: impl Fn(&mut Received)) {
    let mut book = lock(book);
    for copy in copies {
        what(book.entry(*copy).or_default());
    }
}

/// Reads a message up to the final dot; returns its tag.
async fn content(stream: &mut BufReader<TcpStream>) -> Result<Option<u64>> {
    let mut line = Vec::new();
    let mut tag = None;
    loop {
        line.clear();
        ensure!(stream.read_until(b'\n', &mut line).await? > 0, "cut off");
        ensure!(line.ends_with(b"\n"), "cut off");
        if line == b".\r\n" {
            return Ok(tag);
        }
        if tag.is_none() {
            tag = std::str::from_utf8(&line).ok().and_then(tag_of);
        }
    }
}
