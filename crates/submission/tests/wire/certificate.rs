//! The service's certificate, and a client that trusts it alone.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use testkit::TestCertificate;

pub(crate) const HOST: &str = "mail.example.org";
pub(crate) const CERTIFICATE_FILE: &str = "tls.pem";
pub(crate) const KEY_FILE: &str = "tls.key";

/// Writes a fresh self-signed pair into a folder, over whatever is there; gives a client's trust
/// in it.
pub(crate) fn renew(folder: &Path) -> Arc<ClientConfig> {
    let pair = TestCertificate::self_signed(&[HOST]);
    let (certificate, key) = pair.write_to(folder, "tls");
    assert!(certificate.ends_with(CERTIFICATE_FILE) && key.ends_with(KEY_FILE));
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(certificate).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}
