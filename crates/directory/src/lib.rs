//! Who is local: domains, accounts, aliases and credentials.
//!
//! A [`Directory`] answers the questions of the fleet ([`lookup`](Directory::lookup),
//! [`resolve`](Directory::resolve), [`authenticate`](Directory::authenticate),
//! [`may_send_as`](Directory::may_send_as)) and takes the operator's changes. The rule for local
//! parts is written down at [`AccountName`]'s module and kept by that type: whatever comes out of
//! [`resolve`](Directory::resolve) is safe as a path component.
//!
//! Invariant: no other crate touches the schema `directory`.

mod accounts;
mod aliases;
mod authenticate;
mod database;
mod domains;
mod error;
mod login_memory;
mod migrate;
mod name;
mod password;
mod resolve;

pub use accounts::Account;
pub use aliases::Alias;
pub use authenticate::{Authentication, Login};
pub use database::{ConnectError, DatabaseConfig};
pub use domains::DomainEntry;
pub use error::{ChangeError, DirectoryError};
pub use migrate::{MigrateError, SchemaError, migrate};
pub use name::{AccountName, NameError, TAG_DELIMITER};
pub use password::{MAX_PASSWORD, MIN_PASSWORD};
pub use resolve::{Lookup, Resolution};

use database::Database;
use login_memory::LoginMemory;
use password::PasswordHashing;
use resolve::EntryCache;

/// The directory of one fleet. Clones share connections and caches.
#[derive(Clone, Debug)]
pub struct Directory {
    database: Database,
    hashing: PasswordHashing,
    logins: LoginMemory,
    entries: EntryCache,
}

impl Directory {
    /// Connects, and checks that this binary and the schema fit. It migrates nothing: that is
    /// [`migrate`]'s.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(config: &DatabaseConfig) -> Result<Self, ConnectError> {
        Ok(Self {
            database: Database::connect(config).await?,
            hashing: PasswordHashing::new(),
            logins: LoginMemory::new(),
            entries: EntryCache::new(),
        })
    }

    /// Closes all connections, once their statements are done.
    pub async fn close(&self) {
        self.database.close().await;
    }
}
