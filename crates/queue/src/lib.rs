//! The shared queue in Postgres: the only owner of queue SQL.
//!
//! A message is split into *units*, its recipients by routing domain. A unit is *leased* to one
//! *incarnation* (a running relay), attempted, and *completed*. `250` follows the COMMIT of
//! [`Enqueuer::enqueue`]; healthy mail costs that commit and the one of [`Completer::complete`],
//! and is never read back.
//!
//! - produce: [`Enqueuer`], [`NewMessage`]
//! - attempt: [`Claimer`], [`LeasedUnit`], [`Completion`], [`Completer`]
//! - stay alive, and find out who doesn't: [`Heart`], [`Progress`], [`Queue::reclaim`]
//! - dead destinations: [`Queue::suspend`], [`Queue::suspensions`], [`Claimer::expire`]
//! - operate: [`Filter`], [`Queue::list`], [`Queue::show`], [`Queue::top`],
//!   [`Queue::find_by_address`], [`Queue::cancel`], [`Queue::balances`],
//!   [`Queue::census`]
//!
//! Invariant: no transaction is open across network I/O other than to Postgres itself.

mod admin;
mod adopt;
mod census;
mod claim;
mod columns;
mod committer;
mod complete;
mod completion;
mod connection;
mod content;
mod database;
mod destination;
mod enqueue;
mod error;
mod expire;
mod fault;
mod give_back;
mod heart;
mod ids;
mod incarnation;
mod insert;
mod inspect;
mod jobs;
mod journal;
mod lanes;
mod lease;
mod ledger;
mod liveness;
mod load;
mod lookup;
mod message;
mod message_id;
mod metrics;
mod migrate;
#[cfg(test)]
mod one_shard;
mod patient;
#[cfg(test)]
mod plans;
mod prepare;
mod promote;
mod rows;
mod search;
mod settle;
mod shard_clock;
mod show;
mod statement;
mod steer;
mod suspect;
mod top;
mod trace;
mod watermark;
mod way;

pub use admin::{Filter, QueueCount, QueuedUnit, UnitPosition, UnitState};
pub use census::Census;
pub use claim::{ClaimLimits, Claimer};
pub use complete::{CompleteConfig, CompleteError, Completer};
pub use completion::{Completed, Completion, Rest, Settlement};
pub use content::Content;
pub use database::{ConnectError, DatabaseConfig, Queue};
pub use destination::{DestinationFailure, Suspension};
pub use enqueue::{EnqueueConfig, EnqueueStatistics, Enqueued, Enqueuer};
pub use error::{Cause, EnqueueError, QueueError};
pub use expire::Expired;
pub use heart::{Heart, HeartConfig, Progress};
pub use ids::{DestinationKey, IncarnationId, QueueId, QueueIdError, Shard, Tenant, UnitId};
pub use incarnation::{Reclaimed, Registration};
pub use inspect::{
    ClockReading, Inspection, RelayFacts, RelayLife, SchemaFacts, ServerFacts, inspect,
};
pub use jobs::Retention;
pub use journal::{JournalEntry, JournalOutcome};
pub use lease::{Lease, LeasedRecipient, LeasedUnit};
pub use ledger::Balance;
pub use liveness::{Observer, ObserverConfig, Stopped};
pub use message::{NewMessage, Origin, Service};
pub use migrate::{MigrationError, migrate};
pub use search::Search;
pub use show::{AttemptRecord, MessageDetail};
pub use steer::Steered;
pub use suspect::SUSPECT_TAKEOVERS;
pub use top::{DestinationLoad, TopOrder};
pub use trace::{TraceParent, TraceParentError};
