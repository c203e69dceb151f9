//! The first message: from alice to bob, the way that any mail client would send it.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use memchr::memmem::Finder;
use smtp::client::RecipientResult;
use smtp::{Body, Domain, ReversePath};
use smtp_net::{
    AuthFailure, ClientConnection, ClientOptions, ConnectFailure, NotSent, OutboundTransaction,
};
use thiserror::Error;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::accounts::{People, Person};

/// Ample for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// Why there is no first message.
#[derive(Debug, Error)]
pub(crate) enum FirstMessageError {
    #[error(transparent)]
    Connect(#[from] ConnectFailure),
    #[error(transparent)]
    Login(#[from] AuthFailure),
    #[error(transparent)]
    NotSent(#[from] NotSent),
    #[error("submission refused it: {0}")]
    Refused(String),
    #[error("it was accepted, but did not arrive in {} within {} s", .0.display(), PATIENCE.as_secs())]
    NotArrived(PathBuf),
    #[error("can't look into {}", path.display())]
    Look { path: PathBuf, source: io::Error },
}

/// A message that arrived.
pub(crate) struct Arrived {
    /// What submission said to it.
    pub(crate) reply: String,
    pub(crate) path: PathBuf,
    /// From the connection to the file.
    pub(crate) took: Duration,
}

/// Sends the message, and waits until it is in bob's mailbox under `mail`.
pub(crate) async fn send(
    submission: SocketAddr,
    domain: &Domain,
    people: &People,
    mail: &Path,
) -> Result<Arrived, FirstMessageError> {
    let started = Instant::now();
    let bob = people.bob.mailbox.local_part().as_str();
    let folder = mail.join(domain.as_str()).join(bob).join("new");
    let mut seen = entries(&folder)?;
    let message_id = format!("{}@{}", Uuid::now_v7(), super::host_name(domain));
    let content = content(people, &message_id);
    let reply = submit(submission, domain, people, content).await?;
    let id = Finder::new(message_id.as_bytes());
    while started.elapsed() < PATIENCE {
        let names = entries(&folder)?.into_iter();
        let new = names.filter(|name| seen.insert(name.clone()));
        let is_ours = |path: &PathBuf| {
            let content = std::fs::read(path);
            content.is_ok_and(|content| id.find(&content).is_some())
        };
        if let Some(path) = new.map(|name| folder.join(name)).find(is_ours) {
            return Ok(Arrived {
                reply,
                path,
                took: started.elapsed(),
            });
        }
        sleep(POLL).await;
    }
    Err(FirstMessageError::NotArrived(folder))
}

async fn submit(
    submission: SocketAddr,
    domain: &Domain,
    people: &People,
    content: Bytes,
) -> Result<String, FirstMessageError> {
    let options = ClientOptions::new(smtp::client::Config::new(domain.clone()));
    let mut connection = ClientConnection::connect(submission, "localhost", &options).await?;
    let Person { mailbox, password } = &people.alice;
    connection
        .authenticate(&mailbox.to_string(), password)
        .await?;
    let transaction = OutboundTransaction {
        reverse_path: &ReversePath::Mailbox(mailbox.clone()),
        recipients: std::slice::from_ref(&people.bob.mailbox),
        body: Body::SevenBit,
        content: &[content],
    };
    let results = connection.send(&transaction, &|| true).await?;
    connection.quit().await;
    match results.first() {
        Some(RecipientResult::Accepted(reply)) => Ok(reply.to_string()),
        Some(RecipientResult::Interrupted { stage, ending }) => {
            Err(FirstMessageError::Refused(format!("{ending} at {stage}")))
        }
        other => {
            let reply = other.and_then(RecipientResult::reply);
            let words = reply.map_or("no answer".to_owned(), ToString::to_string);
            Err(FirstMessageError::Refused(words))
        }
    }
}

fn content(people: &People, message_id: &str) -> Bytes {
    let (alice, bob) = (&people.alice.mailbox, &people.bob.mailbox);
    let text = format!(
        "From: Alice <{alice}>\r\n\
         To: Bob <{bob}>\r\n\
         Subject: The first message\r\n\
         Message-ID: <{message_id}>\r\n\
         \r\n\
         This message was submitted over STARTTLS with a login, queued in Postgres, handed to\r\n\
         the relay, and delivered to this mailbox. Its Received fields tell the story.\r\n"
    );
    Bytes::from(text)
}

/// The names in a folder; none if it isn't there yet.
fn entries(folder: &Path) -> Result<HashSet<OsString>, FirstMessageError> {
    let failed = |source| FirstMessageError::Look {
        path: folder.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashSet::new()),
        entries => entries.map_err(failed)?,
    };
    entries
        .map(|entry| entry.map(|entry| entry.file_name()).map_err(failed))
        .collect()
}
