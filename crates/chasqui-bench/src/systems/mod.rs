//! The mail systems that are measured, each set up for itself in a folder of its own.

mod chasqui;
mod configuration;
mod dovecot;
mod postfix;
mod program;

use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) use crate::measure::Root;
pub(crate) use chasqui::{Chasqui, Programs, write_certificate};
pub(crate) use configuration::{Onward, Plan};
pub(crate) use postfix::{Postfix, PostfixPlan};
pub(crate) use program::Program;

/// The domain that the systems have mailboxes for.
pub(crate) const LOCAL_DOMAIN: &str = "home.test";
/// Who has a mailbox, and submits.
pub(crate) const LOCAL_USER: &str = "bob@home.test";
/// Who gets mail elsewhere.
pub(crate) const FAR_USER: &str = "jo@far.test";
/// Who writes from elsewhere.
pub(crate) const STRANGER: &str = "stranger@elsewhere.test";
/// The password of [`LOCAL_USER`].
pub(crate) const PASSWORD: &str = "of-a-benchmark-on-loopback";

/// What a measurement needs to know of a running system.
pub(crate) trait System {
    /// As it stands in tables.
    fn name(&self) -> &'static str;
    /// The processes that are accounted, with all of their descendants.
    fn roots(&self) -> Vec<Root>;
    /// Where it takes mail from other servers, in clear.
    fn relay(&self) -> SocketAddr;
    /// Where it takes mail from mail clients, by STARTTLS and AUTH.
    fn submission(&self) -> SocketAddr;
    /// The Maildir of [`LOCAL_USER`].
    fn mailbox(&self) -> PathBuf;
    /// What it promises about durability, for the record.
    fn durability(&self) -> String;
}
