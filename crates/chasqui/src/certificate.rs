//! What a certificate says of itself.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// Why a certificate can't be read.
#[derive(Debug, Error)]
pub(crate) enum CertificateError {
    #[error("there is no certificate in {}: {reason}", path.display())]
    File { path: PathBuf, reason: PemError },
    #[error("the certificate is malformed: {0}")]
    Malformed(String),
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) not_before: OffsetDateTime,
    pub(crate) not_after: OffsetDateTime,
    /// The names and addresses that it is for; `*.` stands for one label.
    pub(crate) names: Vec<String>,
    /// Whether nobody else vouches for it.
    pub(crate) self_signed: bool,
    /// SHA-256 of its public key, which stays when a certificate is renewed with the same key
    /// (RFC 6698 §2.1: selector 1, matching type 1).
    pub(crate) key_digest: String,
}

impl Certificate {
    /// The first of a file, which is the server's own.
    pub(crate) fn read(path: &Path) -> Result<Self, CertificateError> {
        let failed = |reason| CertificateError::File {
            path: path.to_owned(),
            reason,
        };
        Self::parse(&CertificateDer::from_pem_file(path).map_err(failed)?)
    }

    /// All of a file, of which there is one at least.
    pub(crate) fn read_all(path: &Path) -> Result<Vec<Self>, CertificateError> {
        let failed = |reason| CertificateError::File {
            path: path.to_owned(),
            reason,
        };
        let all = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(failed)?;
        if all.is_empty() {
            return Err(failed(PemError::NoItemsFound));
        }
        all.iter().map(Self::parse).collect()
    }

    pub(crate) fn parse(der: &CertificateDer<'_>) -> Result<Self, CertificateError> {
        let malformed = |error: &dyn ToString| CertificateError::Malformed(error.to_string());
        let (_, parsed) = X509Certificate::from_der(der).map_err(|error| malformed(&error))?;
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds);
        let validity = parsed.validity();
        let digest = Sha256::digest(parsed.public_key().raw);
        Ok(Self {
            not_before: at(validity.not_before.timestamp()).map_err(|error| malformed(&error))?,
            not_after: at(validity.not_after.timestamp()).map_err(|error| malformed(&error))?,
            names: names(&parsed),
            self_signed: parsed.issuer() == parsed.subject(),
            key_digest: digest.iter().map(|octet| format!("{octet:02x}")).collect(),
        })
    }

    /// Whether it is for this host (RFC 9525 §6.3).
    pub(crate) fn is_for(&self, host: &str) -> bool {
        self.names.iter().any(|name| fits(name, host))
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(octets) => Some(address(octets)?.to_string()),
            _ => None,
        })
        .collect()
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

fn fits(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        None => name.eq_ignore_ascii_case(host),
        Some(domain) => {
            let rest = host.split_once('.').map(|(_, rest)| rest);
            rest.is_some_and(|rest| rest.eq_ignore_ascii_case(domain))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        for (name, host, expected) in [
            ("MX.example.org", "mx.EXAMPLE.org", true),
            ("*.example.org", "mx.example.org", true),
            ("*.example.org", "a.mx.example.org", false),
            ("*.example.org", "example.org", false),
            ("example.org", "mx.example.org", false),
        ] {
            assert_eq!(fits(name, host), expected, "{name} {host}");
        }
    }
}
