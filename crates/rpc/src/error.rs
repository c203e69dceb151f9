//! Why a call gave no answer, and why a message of the other side cannot be understood.

use std::error::Error as _;
use std::time::Duration;

use smtp::AddressError;
use thiserror::Error;
use tonic::{Code, Status};

/// Why a call gave no answer.
///
/// Each of these is passing: none says anything about a message or a mailbox, so towards an SMTP
/// client it is always a 4yz reply.
#[derive(Clone, Debug, Error)]
pub enum RpcError {
    /// No address of the service could be reached, or the connection broke.
    #[error("{service} cannot be reached: {}", status.message())]
    Unreachable {
        /// Which service was called.
        service: &'static str,
        /// What gRPC said.
        #[source]
        status: Box<Status>,
    },
    /// The service's names resolve to no address.
    #[error("{service} cannot be reached: its name resolves to no address")]
    Unresolved {
        /// Which service was called.
        service: &'static str,
    },
    /// The deadline of the call passed.
    #[error("{service} did not answer within {deadline:?}")]
    Deadline {
        /// Which service was called.
        service: &'static str,
        /// How long it had.
        deadline: Duration,
    },
    /// The service wants another token or certificate.
    #[error("{service} refused our credentials: {}", status.message())]
    Refused {
        /// Which service was called.
        service: &'static str,
        /// What gRPC said.
        #[source]
        status: Box<Status>,
    },
    /// The service answered that it failed.
    #[error("{service} failed: {}", status.message())]
    Failed {
        /// Which service was called.
        service: &'static str,
        /// What gRPC said.
        #[source]
        status: Box<Status>,
    },
    /// The answer makes no sense to this version.
    #[error("the answer of {service} is malformed")]
    Malformed {
        /// Which service was called.
        service: &'static str,
        /// What is wrong with it.
        #[source]
        problem: ConversionError,
    },
}

impl RpcError {
    pub(crate) fn from_status(service: &'static str, status: Status) -> Self {
        let is_refusal = matches!(
            status.code(),
            Code::Unauthenticated | Code::PermissionDenied
        );
        let is_broken = is_transport_failure(&status);
        let status = Box::new(status);
        if is_refusal {
            Self::Refused { service, status }
        } else if is_broken {
            Self::Unreachable { service, status }
        } else {
            Self::Failed { service, status }
        }
    }
}

/// Whether it was the connection that failed, rather than the service at its other end. Only a
/// status made on this side has a source.
pub(crate) fn is_transport_failure(status: &Status) -> bool {
    status.code() == Code::Unavailable || status.source().is_some()
}

/// Why a message from the other side cannot be turned into domain types.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConversionError {
    /// A field that must be there is not.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field is not an address.
    #[error("`{field}` is not an address: {source}")]
    Address {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        source: AddressError,
    },
    /// An enumeration has a value that this version does not know.
    #[error("`{field}` has the unknown value {value}")]
    UnknownValue {
        /// Which field.
        field: &'static str,
        /// Its number.
        value: i32,
    },
    /// A field breaks its rule.
    #[error("`{field}` is not {rule}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What it should be.
        rule: &'static str,
    },
}

impl From<ConversionError> for Status {
    fn from(error: ConversionError) -> Self {
        Self::invalid_argument(error.to_string())
    }
}
