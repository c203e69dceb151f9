//! What can go wrong with a question or a change.

use smtp::{Domain, Mailbox};
use thiserror::Error;

use crate::name::{AccountName, NameError};
use crate::password::{MAX_PASSWORD, MIN_PASSWORD};

/// A question could not be answered. Always passing: to be asked again.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// The database did not answer, or answered nonsense.
    #[error("the directory database did not answer")]
    Database(#[from] sqlx::Error),
    /// So many passwords are being checked that this one would have waited too long.
    #[error("too many passwords are being checked")]
    Busy,
    /// A password could not be hashed: out of memory, or a stored hash that cannot be read.
    #[error("the password could not be checked")]
    Hash(#[source] argon2::password_hash::Error),
    /// The process is shutting down.
    #[error("the directory is shutting down")]
    Stopped,
}

/// A change was not made.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// The domain is not ours.
    #[error("there is no domain {0}: add it first")]
    NoSuchDomain(Domain),
    /// The domain is ours already.
    #[error("the domain {0} exists already")]
    DomainExists(Domain),
    /// No such account.
    #[error("there is no account {0}")]
    NoSuchAccount(AccountName),
    /// The account exists already.
    #[error("the account {0} exists already")]
    AccountExists(AccountName),
    /// The address is an alias already; an account would be hidden behind it.
    #[error("{0} is an alias already")]
    AliasExists(AccountName),
    /// An alias without a target.
    #[error("an alias needs a target")]
    NoTarget,
    /// The alias points elsewhere than to a local account.
    #[error(
        "{0} is not an account here: the targets of an alias are local accounts (addresses of \
         other systems need redirects, which do not exist yet)"
    )]
    TargetNotAccount(Mailbox),
    /// The address cannot name a mailbox.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The password is too short or too long.
    #[error("a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")]
    PasswordLength,
    /// Nothing was changed, for a passing reason.
    #[error(transparent)]
    Unavailable(#[from] DirectoryError),
}

impl From<sqlx::Error> for ChangeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(DirectoryError::Database(error))
    }
}
