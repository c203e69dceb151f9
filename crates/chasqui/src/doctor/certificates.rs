//! Whether certificates are valid, and are for whom they are shown.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use service::config::TlsSection;
use time::{Duration, OffsetDateTime};

use super::finding::{Finding, Findings};
use crate::certificate::Certificate;
use crate::output::When;

/// Renewal should have come long before.
const SOON: Duration = Duration::days(21);
/// Somebody has to get up now.
const VERY_SOON: Duration = Duration::days(3);

/// Looks at the files; each that several services share once for each host.
pub(super) fn look(certificates: &[(TlsSection, String)]) -> Vec<Finding> {
    let mut findings = Findings::of("certificate");
    let mut seen: Vec<&(TlsSection, String)> = Vec::new();
    for known in certificates {
        if seen.contains(&known) {
            continue;
        }
        seen.push(known);
        let (section, host) = known;
        let subject = section.certificate.display().to_string();
        match Certificate::read(&section.certificate) {
            Ok(certificate) => judge(&certificate, host, subject.clone(), &mut findings),
            Err(error) => {
                let remedy = "put the certificate there in PEM, its intermediates behind it";
                findings.problem(subject.clone(), error.to_string(), remedy);
                continue;
            }
        }
        if let Err(reason) = fits_key(section) {
            let remedy = "put the key there that the certificate was made for";
            findings.problem(subject, reason, remedy);
        }
    }
    findings.list
}

/// What there is to say of a certificate that `host` shows.
pub(super) fn judge(
    certificate: &Certificate,
    host: &str,
    subject: String,
    findings: &mut Findings,
) {
    let now = OffsetDateTime::now_utc();
    let until = When(certificate.not_after);
    let left = certificate.not_after - now;
    let renew = "renew it (services read it again by themselves)";
    if left.is_negative() {
        findings.problem(subject, format!("expired on {until}"), renew);
    } else if certificate.not_before > now {
        let found = format!("is valid from {} on only", When(certificate.not_before));
        findings.problem(subject, found, "check the clock of this machine");
    } else if !certificate.is_for(host) {
        let names = certificate.names.join(", ");
        let found = format!("is for {names}, not for {host}");
        findings.problem(subject, found, format!("get one that names {host}"));
    } else if left < VERY_SOON {
        findings.problem(subject, format!("expires on {until}"), renew);
    } else if left < SOON {
        findings.warn(subject, format!("expires on {until}"), renew);
    } else if certificate.self_signed {
        let found = format!("for {host}, until {until}; nobody vouches for it");
        let remedy = "get one from an authority (Let's Encrypt, for one): mail clients refuse this";
        findings.warn(subject, found, remedy);
    } else {
        findings.ok(subject, format!("for {host}, until {until}"));
    }
}

fn fits_key(section: &TlsSection) -> Result<(), String> {
    let chain = CertificateDer::pem_file_iter(&section.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_file(&section.key)
        .map_err(|error| format!("no key in {}: {error}", section.key.display()))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    CertifiedKey::from_der(chain, key, &provider)
        .map(drop)
        .map_err(|error| format!("does not go with {}: {error}", section.key.display()))
}
