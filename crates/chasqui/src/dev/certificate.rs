//! A certificate that nobody vouches for, good enough for tries on one's own machine.

use rcgen::{CertificateParams, DnType, KeyPair};
use smtp::Domain;
use thiserror::Error;

use super::state::{StateError, StateFolder};

pub(crate) const CERTIFICATE: &str = "tls/certificate.pem";
pub(crate) const KEY: &str = "tls/key.pem";

/// Why there is no certificate.
#[derive(Debug, Error)]
pub(crate) enum CertificateError {
    #[error("can't make a certificate")]
    Make(#[from] rcgen::Error),
    #[error(transparent)]
    State(#[from] StateError),
}

/// Makes a certificate for this host and for a domain, unless there is one; true if it made one.
pub(crate) fn provide(state: &StateFolder, domain: &Domain) -> Result<bool, CertificateError> {
    if state.has(CERTIFICATE) && state.has(KEY) {
        return Ok(false);
    }
    let names = [
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
        domain.to_string(),
        super::host_name(domain),
    ];
    let mut parameters = CertificateParams::new(names)?;
    parameters
        .distinguished_name
        .push(DnType::CommonName, "chasqui dev");
    let key = KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;
    state.write_secret(KEY, &key.serialize_pem())?;
    state.write(CERTIFICATE, &certificate.pem())?;
    Ok(true)
}
