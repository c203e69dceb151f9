//! What can go wrong between a service and the queue database.

use std::sync::Arc;

use smtp::{EnhancedStatus, Reply, ReplyCode};
use thiserror::Error;

use crate::ids::QueueId;

/// What the database or the way to it reported. Shared, since one failure fails a whole batch.
pub type Cause = Arc<sqlx::Error>;

/// Why an operation on the queue did not succeed.
#[derive(Clone, Debug, Error)]
pub enum QueueError {
    /// The database cannot be reached or doesn't take work now; nothing was changed.
    #[error("the queue database is unavailable")]
    Unavailable(#[source] Cause),
    /// The database has no space left; nothing was changed.
    #[error("the queue database is out of disk space")]
    DiskFull(#[source] Cause),
    /// The connection was lost while the statement ran: it may have taken effect or not.
    #[error("the connection to the queue database was lost in the middle of a statement")]
    Unknown(#[source] Cause),
    /// The statement or its data were refused; nothing was changed.
    #[error("the queue database refused the statement")]
    Rejected(#[source] Cause),
}

/// Why a message was not queued. Whatever it is, the client keeps the message.
#[derive(Clone, Debug, Error)]
pub enum EnqueueError {
    /// The database cannot be reached or doesn't take work now; nothing was queued.
    #[error("the queue database is unavailable")]
    Unavailable(#[source] Cause),
    /// The database has no space left; nothing was queued.
    #[error("the queue database is out of disk space")]
    DiskFull(#[source] Cause),
    /// The connection was lost during COMMIT: the message may be queued or not, so that the
    /// client's next try may make a duplicate, but nothing is lost.
    #[error("the connection to the queue database was lost during commit")]
    Unknown(#[source] Cause),
    /// A message of this id is queued already.
    #[error("message {0} is queued already")]
    AlreadyQueued(QueueId),
    /// This message's data were refused; its neighbours in the batch are not concerned.
    #[error("the queue database refused the message")]
    Rejected(#[source] Cause),
    /// The message has no recipient.
    #[error("the message has no recipient")]
    NoRecipients,
    /// The queue of this process is being shut down.
    #[error("the service is shutting down")]
    ShuttingDown,
}

impl EnqueueError {
    /// The answer to the client, after the final dot: always transient.
    #[must_use]
    pub fn reply(&self) -> Reply {
        match self {
            Self::DiskFull(_) => Reply::new(
                ReplyCode::INSUFFICIENT_STORAGE,
                EnhancedStatus::new(4, 3, 1),
                "Insufficient system storage, try again later",
            ),
            Self::ShuttingDown => Reply::new(
                ReplyCode::LOCAL_ERROR,
                EnhancedStatus::new(4, 3, 2),
                "Service is shutting down, try again later",
            ),
            _ => Reply::local_error("Queue is not available, try again later"),
        }
    }
}
