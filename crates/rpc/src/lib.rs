//! gRPC between the services: channels, servers and the hand-off stream, all in domain types.
//!
//! Clients balance over all instances of a service, reconnect by themselves, and have a deadline
//! on every call. Servers demand mTLS or a token off loopback, and bound what they take in.
//!
//! Invariant: no generated type and no prost type is public.

mod certificate;
mod channel;
mod convert;
mod error;
mod proto;
mod server;
mod token;

pub mod delivery;
pub mod directory;
pub mod hand_off;

pub use channel::{
    Call, ChannelConfig, ChannelError, ClientTls, Identity, Instance, Target, TargetError,
    ask_health,
};
pub use error::{ConversionError, RpcError};
pub use server::{
    ConfigProblem, GrpcServer, GrpcServerConfig, GrpcServerError, GrpcService, Health, ServerTls,
    ServiceFailure,
};
pub use token::{Token, TokenError};
