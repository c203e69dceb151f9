//! Certificates made on the spot.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use smtp_net::{ReloadingTls, TlsFiles};

pub(crate) const HOST: &str = "mx.example.org";

/// Writes a fresh self-signed pair into a folder, over whatever is there.
pub(crate) fn write_pair(folder: &Path) -> CertificateDer<'static> {
    let pair = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    let files = files_in(folder);
    std::fs::write(files.certificate, pair.cert.pem()).unwrap();
    std::fs::write(files.key, pair.signing_key.serialize_pem()).unwrap();
    pair.cert.der().clone()
}

pub(crate) fn files_in(folder: &Path) -> TlsFiles {
    TlsFiles {
        certificate: folder.join("certificate.pem"),
        key: folder.join("key.pem"),
    }
}

/// A fresh pair, and the certificate to trust.
pub(crate) fn fresh() -> (ReloadingTls, CertificateDer<'static>) {
    let folder = tempfile::tempdir().unwrap();
    let certificate = write_pair(folder.path());
    let tls = ReloadingTls::load(files_in(folder.path())).unwrap();
    (tls, certificate)
}

/// A server's configuration for a scripted handshake.
pub(crate) fn server_config() -> Arc<ServerConfig> {
    let pair = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.cert.der().clone()], key);
    Arc::new(config.unwrap())
}

/// A client that trusts one certificate and nothing else.
pub(crate) fn trusting(
    certificate: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}
