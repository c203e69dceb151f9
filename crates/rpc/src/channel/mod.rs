//! Client side: channels that have a deadline, balance and reconnect by themselves.

mod balanced;
mod config;
mod connector;
mod health;
mod roster;

pub use config::{ChannelConfig, ChannelError, ClientTls, Identity, Target, TargetError};

pub use balanced::Call;
pub use health::{Instance, ask_health};

pub(crate) use balanced::{Balanced, CallMetadata, Wire};
pub(crate) use connector::Connector;
pub(crate) use roster::{Address, Roster};
