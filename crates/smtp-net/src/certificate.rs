//! The certificate that servers show, read again when its files change.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{metrics, tls};

/// How often [`ReloadingTls::watch`] is usually asked to look at the files.
pub const WATCH_INTERVAL: Duration = Duration::from_secs(60);

/// Where a certificate and its key lie, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by its chain.
    pub certificate: PathBuf,
    /// The private key: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key: PathBuf,
}

/// A certificate or key is of no use.
#[derive(Debug, Error)]
pub enum TlsFilesError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file has no PEM block of the kind that is wanted.
    #[error("{} has no {wanted} in PEM form", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// What was wrong; none when there is no block at all.
        source: Option<pem::Error>,
    },
    /// The key is of an unknown kind, or isn't the certificate's.
    #[error("{} and {} do not make a usable pair", files.certificate.display(), files.key.display())]
    Pair {
        /// The two files.
        files: TlsFiles,
        /// Why.
        source: rustls::Error,
    },
}

/// A server's TLS, whose certificate is replaced without a restart. Clones share it.
#[derive(Clone, Debug)]
pub struct ReloadingTls(Arc<Shared>);

/// A [`ReloadingTls`] that may be gone.
pub(crate) struct WeakTls(Weak<Shared>);

impl WeakTls {
    pub(crate) fn upgrade(&self) -> Option<ReloadingTls> {
        self.0.upgrade().map(ReloadingTls)
    }
}

#[derive(Debug)]
struct Shared {
    files: TlsFiles,
    certificate: Arc<CurrentCertificate>,
    config: Arc<ServerConfig>,
    /// The files as they were when the current certificate was read.
    loaded: Mutex<Stamp>,
}

#[derive(Debug)]
struct CurrentCertificate(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Tells one state of the two files from another.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl ReloadingTls {
    /// Reads both files.
    ///
    /// # Errors
    /// Any [`TlsFilesError`].
    pub fn load(files: TlsFiles) -> Result<Self, TlsFilesError> {
        let loaded = stamp(&files);
        let key = read_pair(&files)?;
        let certificate = Arc::new(CurrentCertificate(ArcSwap::from_pointee(key)));
        let config = tls::server_config(Arc::clone(&certificate) as _).map_err(|source| {
            TlsFilesError::Pair {
                files: files.clone(),
                source,
            }
        })?;
        let tls = Self(Arc::new(Shared {
            files,
            certificate,
            config: Arc::new(config),
            loaded: Mutex::new(loaded),
        }));
        metrics::observe(&tls);
        Ok(tls)
    }

    /// When the certificate in use expires, in Unix time. None for one that can't be read, which
    /// no client would take either.
    pub(crate) fn expires(&self) -> Option<i64> {
        let key = self.0.certificate.0.load();
        let (_, certificate) = x509_parser::parse_x509_certificate(key.cert.first()?).ok()?;
        Some(certificate.validity().not_after.timestamp())
    }

    pub(crate) fn downgrade(&self) -> WeakTls {
        WeakTls(Arc::downgrade(&self.0))
    }

    /// Reads both files again, whether or not they have changed. New handshakes show the new
    /// certificate; connections that stand are not touched.
    ///
    /// # Errors
    /// Any [`TlsFilesError`]; the certificate in use then stays.
    pub fn reload(&self) -> Result<(), TlsFilesError> {
        let found = stamp(&self.0.files);
        let key = read_pair(&self.0.files)?;
        self.0.certificate.0.store(Arc::new(key));
        *self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(())
    }

    /// Looks at the files every so often and reloads when they have changed; logs what is broken
    /// and keeps the certificate in use. Ends with `shutdown`.
    pub async fn watch(&self, every: Duration, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let tls = self.clone();
            let looked = tokio::task::spawn_blocking(move || tls.reload_if_changed()).await;
            let certificate = self.0.files.certificate.display();
            match looked {
                Ok(Ok(true)) => tracing::info!(%certificate, "certificate reloaded"),
                Ok(Err(error)) => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "certificate not reloaded, the old one stays in use"
                ),
                Ok(Ok(false)) | Err(_) => {}
            }
        }
    }

    fn reload_if_changed(&self) -> Result<bool, TlsFilesError> {
        let loaded = *self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if stamp(&self.0.files) == loaded {
            return Ok(false);
        }
        self.reload().map(|()| true)
    }

    pub(crate) fn config(&self) -> &Arc<ServerConfig> {
        &self.0.config
    }
}

/// A missing file has no stamp: it differs from any that was read.
fn stamp(files: &TlsFiles) -> Stamp {
    [&files.certificate, &files.key].map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some((modified(&metadata)?, metadata.len()))
    })
}

fn modified(metadata: &Metadata) -> Option<SystemTime> {
    metadata.modified().ok()
}

fn read_pair(files: &TlsFiles) -> Result<CertifiedKey, TlsFilesError> {
    let chain = CertificateDer::pem_slice_iter(&read(&files.certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| no_pem(&files.certificate, "certificate", Some(source)))?;
    if chain.is_empty() {
        return Err(no_pem(&files.certificate, "certificate", None));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?)
        .map_err(|source| no_pem(&files.key, "private key", Some(source)))?;
    CertifiedKey::from_der(chain, key, tls::provider()).map_err(|source| TlsFilesError::Pair {
        files: files.clone(),
        source,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsFilesError> {
    fs::read(path).map_err(|source| TlsFilesError::Read {
        path: path.to_owned(),
        source,
    })
}

fn no_pem(path: &Path, wanted: &'static str, source: Option<pem::Error>) -> TlsFilesError {
    TlsFilesError::Pem {
        path: path.to_owned(),
        wanted,
        source,
    }
}
