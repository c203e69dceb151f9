//! Logging in over an open connection.

use std::time::Instant;

use smtp::Reply;
use smtp::client::{Ending, Event, NotAuthenticated};
use thiserror::Error;

use super::ClientConnection;

/// Why nobody is logged in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuthFailure {
    /// It was not tried: the session or the server does not allow it. The connection is as it was.
    #[error(transparent)]
    NotTried(#[from] NotAuthenticated),
    /// The server refused. The connection is as it was.
    #[error("the server refused the login: {0}")]
    Refused(Reply),
    /// The session ended instead.
    #[error("{0} during the login")]
    Ended(#[source] Ending),
}

impl ClientConnection {
    /// Logs in with AUTH PLAIN. The connection must be in TLS.
    ///
    /// # Errors
    /// [`AuthFailure`].
    pub async fn authenticate(&mut self, login: &str, password: &str) -> Result<(), AuthFailure> {
        self.session.authenticate(login, password, Instant::now())?;
        while let Some(event) = self.next_event().await {
            match event {
                Event::Authenticated => return Ok(()),
                Event::Refused { reply, .. } => return Err(AuthFailure::Refused(reply)),
                Event::Closed { ending, .. } => return Err(AuthFailure::Ended(ending)),
                _ => {}
            }
        }
        Err(AuthFailure::Ended(Ending::Disconnected))
    }
}
