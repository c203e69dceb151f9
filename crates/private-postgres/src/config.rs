//! What an owner says about the Postgres it wants.

use std::path::PathBuf;
use std::time::Duration;

/// Crash recovery replays the log since the last checkpoint; two minutes is ample for that.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// Where a cluster lives, and so how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Kept in the folder `postgres` of this state folder, or linked from there where the user that
    /// Postgres runs as can't reach it. A later start reuses it.
    Kept(PathBuf),
    /// In a new folder under the system's temporary one, removed when the owner has gone.
    Temporary,
}

/// How to run a [`PrivatePostgres`](crate::PrivatePostgres).
#[derive(Clone, Debug)]
pub struct PrivatePostgresConfig {
    /// Where the cluster lives.
    pub place: Place,
    /// The TCP port on 127.0.0.1. Without one: that of the last start if it is free, else a free one.
    pub port: Option<u16>,
    /// Settings beyond the built-in ones, as in `postgresql.conf`. They can't override durability.
    pub settings: Vec<(String, String)>,
    /// How long the server may take until it accepts connections, crash recovery included.
    pub start_timeout: Duration,
}

impl PrivatePostgresConfig {
    /// A cluster that is kept in (or linked from) `state`/postgres.
    pub fn kept_in(state: impl Into<PathBuf>) -> Self {
        Self::at(Place::Kept(state.into()))
    }

    /// A cluster that goes with its owner.
    #[must_use]
    pub fn temporary() -> Self {
        Self::at(Place::Temporary)
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            port: None,
            settings: Vec::new(),
            start_timeout: START_TIMEOUT,
        }
    }

    /// Sets the TCP port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Adds a setting, as in `postgresql.conf`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}
