//! The directory: who is a local recipient, who may log in, who may send as whom.

mod client;
mod server;

use smtp::Mailbox;

pub use client::DirectoryClient;
pub use server::{DirectoryService, directory_server};

/// What the directory knows about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Its domain is none of ours.
    NotLocal,
    /// Nobody has this name at a domain of ours.
    Unknown,
    /// It is known, and takes no mail at present.
    Disabled,
    /// Mail for it is taken.
    Mailbox,
}

/// The verdict on a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// The password is right, and the account enabled.
    Accepted(Login),
    /// Anything else; which part was wrong is not told.
    Rejected,
}

/// An account that has shown its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The account's primary address.
    pub account: Mailbox,
    /// Whose account it is.
    pub tenant: i64,
}
