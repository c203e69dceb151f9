//! How a service says that it cannot answer.

use thiserror::Error;
use tonic::Status;

/// A service's own trouble. The caller learns these words, so they must not bear secrets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ServiceFailure {
    /// This instance cannot answer now; another one may.
    #[error("{0}")]
    Unavailable(String),
    /// Something broke over this very call; another instance would not do better.
    #[error("{0}")]
    Internal(String),
}

impl From<ServiceFailure> for Status {
    fn from(failure: ServiceFailure) -> Self {
        match failure {
            ServiceFailure::Unavailable(detail) => Self::unavailable(detail),
            ServiceFailure::Internal(detail) => Self::internal(detail),
        }
    }
}
