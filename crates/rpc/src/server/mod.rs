//! Server side: one gRPC server a process, with health, reflection and bounds.

mod config;
mod failure;
mod grpc;
mod health;
mod incoming;

pub use config::{ConfigProblem, GrpcServerConfig, ServerTls};
pub use failure::ServiceFailure;
pub use grpc::{GrpcServer, GrpcServerError, GrpcService};
pub use health::Health;
