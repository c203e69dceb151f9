//! The hand-off: freshly committed mail goes straight to the relay that will attempt it.
//!
//! Postgres is the journal, this is the fast path. A relay grants credits on a stream; a producer
//! that holds one leases its message to the relay's incarnation as it commits it, and sends it
//! here. Without credit the message is committed unleased, and a poll finds it. What is lost on
//! the way is swept from Postgres by the relay that it is leased to.
//!
//! - produce: [`HandOff`], [`Credit`]
//! - relay: [`RelayHandOff`], [`HandOffSink`]
//!
//! Invariant: nothing here waits on the producer's side, and nothing here is acknowledged.
//! Invariant: mail at hand and credits together never exceed the relay's capacity.

mod books;
mod connection;
mod fairness;
mod link;
mod load;
mod metrics;
mod outbox;
mod pool;
mod produce;
mod producer;
mod relay;
mod session;
mod suspensions;
mod wire;

pub use load::Load;
pub use pool::Permit;
pub use produce::Producer;
pub use producer::{Credit, CreditRequest, HandOff, HandOffStatistics};
pub use relay::{HandOffSink, HandedOff, RelayHandOff, RelayHandOffStatistics};

/// Largest content that is handed over, in octets. What is larger is leased all the same, takes
/// no credit in octets, and is read from Postgres when its turn comes.
pub const INLINE_LIMIT: u64 = 1 << 20;
