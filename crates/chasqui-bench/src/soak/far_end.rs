//! The far end: an SMTP server that notes what it has received, and what it has said 250 to.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::book::Book;
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

/// What has been received.
#[derive(Debug, Clone)]
struct Shelf {
    received: Arc<Mutex<BTreeMap<Parcel, Received>>>,
    book: Book,
}

/// A running far end. Its sessions end when it is dropped.
#[derive(Debug)]
pub(super) struct FarEnd {
    address: SocketAddr,
    shelf: Shelf,
    _sessions: JoinSet<()>,
}

impl FarEnd {
    /// Starts one, which notes in `book` what comes again.
    pub(super) async fn start(book: Book) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no port for the far end")?;
        let address = listener.local_addr()?;
        let shelf = Shelf {
            received: Arc::default(),
            book,
        };
        let mut sessions = JoinSet::new();
        sessions.spawn(listen(listener, shelf.clone()));
        Ok(Self {
            address,
            shelf,
            _sessions: sessions,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that it has received so far.
    pub(super) fn received(&self) -> BTreeMap<Parcel, Received> {
        self.shelf.lock().clone()
    }
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Parcel, Received>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies that have come whole.
    fn take(&self, copies: &[Parcel]) {
        for copy in copies {
            let mut shelf = self.lock();
            let received = shelf.entry(*copy).or_default();
            received.copies += 1;
            if received.copies > 1 {
                self.book.superfluous();
            }
        }
    }

    /// 250 was said to these.
    fn acknowledge(&self, copies: &[Parcel]) {
        for copy in copies {
            self.lock().entry(*copy).or_default().acknowledged = true;
        }
    }
}

async fn listen(listener: TcpListener, shelf: Shelf) {
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shelf = shelf.clone();
        // A session that fails is the sender's loss, which it will notice.
        sessions.spawn(async move { drop(session(stream, &shelf).await) });
        while sessions.try_join_next().is_some() {}
    }
}

async fn session(stream: TcpStream, shelf: &Shelf) -> Result<()> {
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
                shelf.take(&copies);
                tokio::time::sleep(WORK).await;
                stream.write_all(b"250 2.0.0 taken\r\n").await?;
                shelf.acknowledge(&copies);
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
