//! Whether certificates are valid, and are for whom they are shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use service::config::TlsSection;
use time::{Duration, OffsetDateTime};

use super::finding::{Finding, Findings};
use super::known::Known;
use crate::certificate::Certificate;
use crate::output::When;

/// Renewal should have come long before.
const SOON: Duration = Duration::days(21);
/// Somebody has to get up now.
const VERY_SOON: Duration = Duration::days(3);

const RENEW_GRPC: &str =
    "renew it and restart the services that show it: gRPC certificates are read at start";
const RENEW_AUTHORITY: &str = "give all services the certificate of a new one beside it, restart \
                               them, then renew theirs: gRPC certificates are read at start";

/// What a certificate is shown for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To mail clients and servers, by this host.
    Mail(String),
    /// Between the services, to callers that expect one of these names; any, if none is known.
    Grpc(Vec<String>),
}

impl Purpose {
    fn label(&self) -> &'static str {
        match self {
            Self::Mail(_) => "",
            Self::Grpc(_) => " (gRPC)",
        }
    }

    fn names(&self) -> &[String] {
        match self {
            Self::Mail(host) => std::slice::from_ref(host),
            Self::Grpc(names) => names,
        }
    }

    fn how_to_renew(&self) -> &'static str {
        match self {
            Self::Mail(_) => "renew it (services read it again by themselves)",
            Self::Grpc(_) => RENEW_GRPC,
        }
    }
}

/// Looks at the files; each that several services share once for each purpose.
pub(super) fn look(known: &Known) -> Vec<Finding> {
    let mail = known.certificates.iter();
    let mail = mail.map(|(section, host)| (section, Purpose::Mail(host.clone())));
    let grpc = known.grpc_certificates.iter().map(|(section, service)| {
        let names = service.map(|service| known.expected_names(service));
        (section, Purpose::Grpc(names.unwrap_or_default()))
    });
    let mut findings = Findings::of("certificate");
    let mut seen: Vec<(&TlsSection, Purpose)> = Vec::new();
    for shown in mail.chain(grpc) {
        if !seen.contains(&shown) {
            about_files(shown.0, &shown.1, &mut findings);
            seen.push(shown);
        }
    }
    let mut authorities: Vec<&Path> = known.authorities.iter().map(PathBuf::as_path).collect();
    authorities.sort_unstable();
    authorities.dedup();
    for file in authorities {
        about_authority(file, &mut findings);
    }
    findings.list
}

fn about_files(section: &TlsSection, purpose: &Purpose, findings: &mut Findings) {
    let file = section.certificate.display();
    let subject = format!("{file}{}", purpose.label());
    match Certificate::read(&section.certificate) {
        Ok(certificate) => judge(&certificate, purpose, subject.clone(), findings),
        Err(error) => {
            let remedy = "put the certificate there in PEM, its intermediates behind it";
            return findings.problem(subject, error.to_string(), remedy);
        }
    }
    if let Err(reason) = fits_key(section) {
        let remedy = "put the key there that the certificate was made for";
        findings.problem(subject, reason, remedy);
    }
}

/// What there is to say of a certificate that is shown.
pub(super) fn judge(
    certificate: &Certificate,
    purpose: &Purpose,
    subject: String,
    findings: &mut Findings,
) {
    let now = OffsetDateTime::now_utc();
    let until = When(certificate.not_after);
    let left = certificate.not_after - now;
    let renew = purpose.how_to_renew();
    let expected = purpose.names();
    let fitting = expected.iter().find(|name| certificate.is_for(name));
    let valid = match fitting {
        Some(name) => format!("for {name}, until {until}"),
        None => format!("until {until}"),
    };
    if left.is_negative() {
        findings.problem(subject, format!("expired on {until}"), renew);
    } else if certificate.not_before > now {
        let found = format!("is valid from {} on only", When(certificate.not_before));
        findings.problem(subject, found, "check the clock of this machine");
    } else if fitting.is_none() && !expected.is_empty() {
        let expected = expected.join(" or ");
        let found = format!(
            "is for {}, not for {expected}",
            certificate.names.join(", ")
        );
        findings.problem(subject, found, format!("get one that names {expected}"));
    } else if left < VERY_SOON {
        findings.problem(subject, format!("expires on {until}"), renew);
    } else if left < SOON {
        findings.warn(subject, format!("expires on {until}"), renew);
    } else if certificate.self_signed && matches!(purpose, Purpose::Mail(_)) {
        let found = format!("{valid}; nobody vouches for it");
        let remedy = "get one from an authority (Let's Encrypt, for one): mail clients refuse this";
        findings.warn(subject, found, remedy);
    } else {
        findings.ok(subject, valid);
    }
}

/// The services themselves ask no authority for its age (RFC 5280 §6.1.1 leaves that open); others
/// do. Of several in one file, as while one takes over from another, the youngest counts.
fn about_authority(file: &Path, findings: &mut Findings) {
    let subject = format!("{} (gRPC authority)", file.display());
    let certificates = match Certificate::read_all(file) {
        Ok(certificates) => certificates,
        Err(error) => {
            let remedy = "put the authority's certificate there in PEM";
            return findings.problem(subject, error.to_string(), remedy);
        }
    };
    let ends = certificates.iter().map(|it| it.not_after);
    let Some(end) = ends.max() else {
        return;
    };
    let left = end - OffsetDateTime::now_utc();
    if left.is_negative() {
        findings.warn(
            subject,
            format!("expired on {}", When(end)),
            RENEW_AUTHORITY,
        );
    } else if left < SOON {
        findings.warn(
            subject,
            format!("expires on {}", When(end)),
            RENEW_AUTHORITY,
        );
    } else {
        findings.ok(subject, format!("until {}", When(end)));
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
