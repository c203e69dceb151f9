//! Mail that is sent, and where it ends: Postfix's tools where they suffice, our own where they don't.

mod arrivals;
mod backlog;
mod client;
mod mailbox;
mod sink;
mod source;
mod tls;

pub(crate) use arrivals::ArrivalSink;
pub(crate) use backlog::Backlog;
pub(crate) use client::{Client, Letter, Refused, Taken};
pub(crate) use mailbox::{count_mail, mail_arrives};
pub(crate) use sink::Sink;
pub(crate) use source::Burst;
pub(crate) use tls::tls_connector;
